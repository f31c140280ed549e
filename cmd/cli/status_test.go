package cli_test

import (
	"regexp"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func TestStatus(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
	i := serve(t, "--manifests", file)
	got := netpold(t, "status", "--server", i.addr)
	want := regexp.MustCompile(`^VERSION +dev
SOURCE +manifests \S+
READY +yes
STARTED +\S+Z \(\d+s ago\)
REVISION +1
PUBLISHED +\S+Z \(\d+s ago\)
OBJECTS +3 Pods \(\d classes\), 1 Namespaces, 3 NetworkPolicies \(\d selectors\), 1 Nodes, 1 Services, \d EndpointSlices
IGNORED +1 ConfigMap

RESOURCE +OBJECTS +SYNCED +AGE +ERROR
pods +4 +yes +\d+s
namespaces +1 +yes +\d+s
networkpolicies +3 +yes +\d+s
nodes +1 +yes +\d+s
services +1 +yes +\d+s
endpointslices +\d +yes +\d+s
clusternetworkpolicies +0 +absent +\d+s
adminnetworkpolicies +0 +absent +\d+s
baselineadminnetworkpolicies +0 +absent +\d+s
$`)
	if got.code != 0 || !want.MatchString(got.stdout) {
		t.Errorf("exit code %d, status is\n%s%s\nwant\n%s", got.code, got.stdout, got.stderr, want)
	}
	got = netpold(t, "status", "--server", i.addr, "-o", "json")
	st := new(netpoldv1.GetStatusResponse)
	if err := protojson.Unmarshal([]byte(got.stdout), st); err != nil || !st.GetReady() ||
		st.GetIgnoredKinds()["ConfigMap"] != 1 {
		t.Errorf("status is %v (%v)", st, err)
	}
}
