package convert

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/engine"
)

// Workloads are what a Pod with these owners and labels belongs to: its controller and, as the names tell, that one's. A
// ReplicaSet named after the Pod's pod-template-hash is a Deployment's; a Job named after a time is a CronJob's.
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

// ofGroup reports whether the owner is of one of the API groups, of which "" is the core group. Owners written by hand may
// leave it out.
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

// cronJobOf reads the name that the CronJob controller gives to a Job: the CronJob's, and the scheduled time in minutes
// since 1970, or in seconds as older controllers wrote it: 8 to 10 digits. Other Jobs end in a number too, so that fewer
// digits, and those that begin as a date (backup-20261122), are no CronJob's.
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
