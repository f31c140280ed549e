package render_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func same(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func table(t *testing.T, l *render.List, wide bool) string {
	t.Helper()
	return text(t, func(w *strings.Builder) error { return render.Table(w, l, wide) })
}

func TestTable(t *testing.T) {
	t.Parallel()
	same(t, table(t, shop().list(t, nil), false), `
SOURCE            DESTINATION       PORTS                   FAMILIES  PODS
deploy/shop/cart  deploy/shop/db    TCP 80                  IPv6      2/4>1/1
deploy/shop/cart  deploy/shop/db    TCP 80,443-445; UDP 53            2/4>1/1
shop/bare         deploy/shop/cart  TCP 8080
shop/bare         shop/bare         all
shop/bare         deploy/web/front  all
shop/bare         0.0.0.0/0         all
deploy/web/front  shop/bare         all
deploy/web/front  deploy/web/front  all
deploy/web/front  0.0.0.0/0         all
9.0.0.0/8         deploy/web/front  TCP 443
203.0.113.0/24    deploy/web/front  TCP 443
2001:db8::/32     deploy/web/front  TCP 443

7 Pods of 4 workloads; of 42 ordered pairs of Pods, 9 have an open port
not isolated for ingress: shop/bare, deploy/web/front
not isolated for egress: shop/bare, deploy/web/front
left out: 3 Nodes (--include nodes) and 1 Service (--include services)
`)
}

func TestWideTableNamesRules(t *testing.T) {
	t.Parallel()
	got := table(t, shop().list(t, nil), true)
	for _, want := range []string{
		"PODS     EGRESS BY         INGRESS BY\n",
		"TCP 80,443-445; UDP 53            2/4>1/1  shop/cart rule 1  shop/db rule 0\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table is\n%s\nwant in it\n%s", got, want)
		}
	}
}

// TestGroupsOfAWorkloadAreJoined: what the groups of two workloads may do alike is one row, in whatever pieces
// it came.
func TestGroupsOfAWorkloadAreJoined(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	v4 := []netpoldv1.IpFamily{ipv4}
	s.group("a", "x", v4, true, "x-0")
	s.group("a", "x", v4, true, "x-1")
	s.group("a", "y", v4, true, "y-0")
	s.group("a", "y", v4, true, "y-1")
	ports := []*netpoldv1.PortRange{portRange(tcp, 1, 2)}
	for _, pair := range [][2]uint32{{1, 3}, {1, 4}, {2, 3}, {2, 4}, {3, 1}, {4, 1}, {4, 2}} {
		s.connect(&netpoldv1.Connection{SrcGroups: pair[:1], DstGroups: pair[1:], Ports: ports, Families: v4})
	}
	s.summary(new(netpoldv1.ListSummary))
	got, _, _ := strings.Cut(table(t, s.list(t, nil), false), "\n\n")
	same(t, got, `
SOURCE      DESTINATION  PORTS    PODS
deploy/a/x  deploy/a/y   TCP 1-2
deploy/a/y  deploy/a/x   TCP 1-2  2/2>1/2
deploy/a/y  deploy/a/x   TCP 1-2  1/2>1/2`)
}

func TestServicesNodesAndOthersInATable(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	s.group("a", "x", []netpoldv1.IpFamily{ipv4}, true, "x-0")
	s.kind = netpoldv1.GroupKind_GROUP_KIND_HOST_NETWORK
	s.group("kube-system", "proxy", []netpoldv1.IpFamily{ipv4}, false, "proxy-0")
	s.kind = netpoldv1.GroupKind_GROUP_KIND_NODE
	s.group("", "", []netpoldv1.IpFamily{ipv4}, false, "node-1")
	s.kind = netpoldv1.GroupKind_GROUP_KIND_HYPOTHETICAL
	s.group("a", "", nil, false, "app=web")
	s.connect(&netpoldv1.Connection{SrcGroups: []uint32{1}, DstServices: []*netpoldv1.ServicePort{
		{Namespace: "a", Name: "x", Protocol: tcp, Port: 80}, {Namespace: "a", Name: "x", Protocol: udp, Port: 53},
	}})
	s.connect(&netpoldv1.Connection{SrcGroups: []uint32{3}, DstGroups: []uint32{1, 4}, Ports: allPorts(),
		Families: []netpoldv1.IpFamily{ipv4}})
	s.summary(&netpoldv1.ListSummary{PairsAllowed: 1, PairsTotal: 1, UnaskableServices: 2, Truncated: true, Connections: 2})
	l := s.list(t, &netpoldv1.ListConnectionsRequest{
		Include: []netpoldv1.Include{netpoldv1.Include_INCLUDE_NODES, netpoldv1.Include_INCLUDE_SERVICES},
	})
	same(t, table(t, l, false), `
SOURCE       DESTINATION  PORTS
deploy/a/x   svc/a/x      TCP 80; UDP 53
node/node-1  deploy/a/x   all
node/node-1  a?app=web    all

2 Pods of 2 workloads; of 1 ordered pair of Pods, 1 has an open port
on the host network, whose side no policy concerns: deploy/kube-system/proxy
2 Services cannot be asked: without endpoints, or outside the cluster
this is not all: the list stopped after 2 connections
`)
}

func TestExposuresInATable(t *testing.T) {
	t.Parallel()
	s := shop()
	end := s.messages[len(s.messages)-1]
	s.messages = s.messages[:len(s.messages)-1]
	for _, e := range []*netpoldv1.Exposure{
		{Group: 1, Direction: netpoldv1.Direction_DIRECTION_INGRESS, Pods: "app=web",
			Namespaces: "kubernetes.io/metadata.name=shop", Ports: []*netpoldv1.PortRange{portRange(tcp, 80, 80)}},
		{Group: 5, Direction: netpoldv1.Direction_DIRECTION_EGRESS, Ports: allPorts(),
			Except: []*netpoldv1.ExposureExcept{{Pods: "a=b"}}},
		{Group: 5, Direction: netpoldv1.Direction_DIRECTION_EGRESS,
			NamedPorts: []*netpoldv1.PortName{{Protocol: udp, Name: "dns"}}},
	} {
		s.messages = append(s.messages,
			&netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Exposure{Exposure: e}})
	}
	s.messages = append(s.messages, end)
	got := table(t, s.list(t, nil), false)
	want := `
EXPOSED                 DIRECTION  NAMESPACES                        PODS                   PORTS
deploy/shop/cart (2/4)  from       kubernetes.io/metadata.name=shop  app=web                TCP 80
deploy/web/front        to         any                               any except a=b in any  all
deploy/web/front        to         any                               any                    UDP dns

`
	if !strings.Contains(got, want) {
		t.Errorf("the table is\n%s\nwant in it\n%s", got, want)
	}
}

// TestBrokenLists: a server that names what it has not sent is not believed.
func TestBrokenLists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		send func(*script)
		want string
	}{
		"a group":        {func(s *script) { s.connect(&netpoldv1.Connection{SrcGroups: []uint32{2}}) }, "names group 2"},
		"no group":       {func(s *script) { s.connect(&netpoldv1.Connection{DstGroups: []uint32{0}}) }, "names group 0"},
		"a set":          {func(s *script) { s.connect(&netpoldv1.Connection{DstSets: []uint32{1}}) }, "names set 1"},
		"a group in one": {func(s *script) { s.set(1, 1, 3) }, "names group 3"},
		"order":          {func(s *script) { s.groups = 5; s.group("a", "", nil, false, "x") }, "group 6 follows group 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := new(script)
			s.group("a", "", nil, false, "a")
			test.send(s)
			l := render.NewList(nil)
			var err error
			for _, m := range s.messages {
				if err = l.Add(m); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want in it %q", err, test.want)
			}
		})
	}
}

// TestOutputThatCannotBeWritten: every form reports it.
func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	l := shop().list(t, nil)
	full := bufio.NewWriterSize(fullDisk{}, 16)
	for name, err := range map[string]error{
		"table": render.Table(full, l, true), "csv": render.CSV(full, l), "dot": render.DOT(full, l),
		"svg": render.SVG(full, l), "json": render.JSONLine(fullDisk{}, new(netpoldv1.ListSummary)),
	} {
		if err == nil {
			t.Errorf("%s reports no error", name)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

var errFull = bufio.ErrBufferFull
