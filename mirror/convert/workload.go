package convert

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/engine"
)

// Workloads returns the workloads of a Pod with these owners and labels: its controller and, judging by
// names, the controller's own. A ReplicaSet named after the Pod's pod-template-hash belongs to a Deployment.
// A Job named after a time belongs to a CronJob.
func Workloads(owners []metav1.OwnerReference, labels map[string]string) []engine.Workload {
	owner := metav1.GetControllerOfNoCopy(&metav1.ObjectMeta{OwnerReferences: owners})
	if owner == nil || owner.Name == "" {
		return nil
	}
	first := engine.Workload{Kind: intern(owner.Kind), Name: intern(owner.Name)}
	switch {
	case ofGroup(owner, "apps", "extensions") && (owner.Kind == "StatefulSet" || owner.Kind == "DaemonSet"):
		return []engine.Workload{first}
	case ofGroup(owner, "apps", "extensions") && owner.Kind == "ReplicaSet":
		if name, ok := deploymentOf(owner.Name, labels["pod-template-hash"]); ok {
			return []engine.Workload{first, {Kind: "Deployment", Name: intern(name)}}
		}
		return []engine.Workload{first}
	case ofGroup(owner, "") && owner.Kind == "ReplicationController":
		return []engine.Workload{first}
	case ofGroup(owner, "batch") && owner.Kind == "Job":
		if name, ok := cronJobOf(owner.Name); ok {
			return []engine.Workload{first, {Kind: "CronJob", Name: intern(name)}}
		}
		return []engine.Workload{first}
	}
	return nil
}

// ofGroup reports whether the owner belongs to one of the API groups; "" is the core group. An owner without
// apiVersion, as people write them, belongs to all.
func ofGroup(owner *metav1.OwnerReference, groups ...string) bool {
	if owner.APIVersion == "" {
		return true
	}
	group, _, found := strings.Cut(owner.APIVersion, "/")
	if !found {
		group = ""
	}
	return slices.Contains(groups, group)
}

func deploymentOf(replicaSet, hash string) (string, bool) {
	if hash == "" {
		return "", false
	}
	name, ok := strings.CutSuffix(replicaSet, "-"+hash)
	return name, ok && name != ""
}

// cronJobOf returns the name of the CronJob that created a Job, and reports whether one did. Such a Job is
// named after the CronJob and the scheduled time: minutes since 1970, or seconds with older controllers, so 8
// to 10 digits. Other Jobs end in a number too. So fewer digits, or digits that begin as a date
// (backup-20261122), mean no CronJob.
func cronJobOf(job string) (string, bool) {
	dash := strings.LastIndexByte(job, '-')
	if dash <= 0 {
		return "", false
	}
	digits := job[dash+1:]
	if len(digits) < 8 || len(digits) > 10 || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	if strings.HasPrefix(digits, "20") {
		if _, err := time.Parse("20060102", digits[:8]); err == nil {
			return "", false
		}
	}
	return job[:dash], true
}
