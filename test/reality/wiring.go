//go:build linux

package reality

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/netpold/netpold/test/kube/random"
	"github.com/netpold/netpold/test/reality/network"
)

// A place is one end of connections: a Pod's namespace, a Node's, or that of a machine outside of the cluster.
type place struct {
	*network.Namespace
	// addrs are of both families, IPv4 first.
	addrs [2]netip.Addr
	// node is the Node where a Pod's place is, or whose place it is; "" for none.
	node string
	// isPod reports whether it is a Pod's.
	isPod bool
}

// families are the indexes of place.addrs.
var families = [2]string{"IPv4", "IPv6"}

const (
	nodeCount = 3
	// podPlaces have the addresses that random objects give Pods; the probes have the next ones, one a Node.
	podPlaces = 24
)

// A wiring is the network of a cluster without any policy. Every Pod has a cable to the bridge of its Node, which
// routes between its Pods and to the other Nodes:
//
//	Pod 10.0.0.1 ── bridge ┐
//	Pod 10.0.0.4 ── bridge ┴ Node n1 192.168.0.1 ──┐
//	Pod 10.0.0.2 ── bridge ─ Node n2 192.168.0.2 ──┼─ fabric ── outside 203.0.113.9
//	Pod 10.0.0.3 ── bridge ─ Node n3 192.168.0.3 ──┘
//
// A Pod's address has no neighbours, so that packets between Pods of one Node are routed too, as with the
// plugins ptp or Calico.
type wiring struct {
	threads *network.Threads
	fabric  *network.Namespace
	nodes   []*place
	// pods are the places of Pods, by the last part of their address less one. probes are one a Node.
	pods, probes []*place
	outside      *place
	all          []*network.Namespace
	echoes       []*network.Echo
}

// nodeOf returns the index of the Node where the Pod of an address number runs.
func nodeOf(number int) int { return (number - 1) % nodeCount }

// podAddrs returns the addresses of the Pod of a number, as the generator of random objects has them.
func podAddrs(number int) [2]netip.Addr {
	return [2]netip.Addr{
		netip.AddrFrom4([4]byte{10, 0, 0, byte(number)}),
		netip.MustParseAddr(fmt.Sprintf("fd00::%x", number)),
	}
}

// wire lays all cables, and answers on ports everywhere. Close undoes it, after an error too.
func wire(ports []uint16) (w *wiring, err error) {
	w = &wiring{threads: network.NewThreads(dialers)}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.fabric, err = w.namespace("fabric"); err == nil {
		err = w.fabric.IP("link add br0 type bridge", "link set br0 up")
	}
	if err != nil {
		return w, err
	}
	if err = w.wireOutside(); err != nil {
		return w, err
	}
	for i := range nodeCount {
		if err = w.wireNode("n" + strconv.Itoa(i+1)); err != nil {
			return w, err
		}
	}
	for number := 1; number <= podPlaces+nodeCount; number++ {
		if err = w.wirePod(number); err != nil {
			return w, err
		}
	}
	for _, p := range w.places() {
		echo, err := network.Listen(p.Namespace, ports...)
		if err != nil {
			return w, err
		}
		w.echoes = append(w.echoes, echo)
	}
	return w, nil
}

// namespace makes a namespace that Close gives up.
func (w *wiring) namespace(name string) (*network.Namespace, error) {
	n, err := network.NewNamespace(name, w.threads)
	if err == nil {
		w.all = append(w.all, n)
	}
	return n, err
}

// attach connects a namespace to a bridge br0 in another, as its eth0.
func attach(n, bridge *network.Namespace) error {
	if err := network.Connect(bridge, n.Name(), n, "eth0"); err != nil {
		return err
	}
	return bridge.IP("link set " + n.Name() + " master br0")
}

// wireOutside makes the machine outside of the cluster, which knows the way to every Pod.
func (w *wiring) wireOutside() error {
	n, err := w.namespace("outside")
	if err != nil {
		return err
	}
	w.outside = &place{Namespace: n, addrs: outsideAddrs}
	if err := attach(n, w.fabric); err != nil {
		return err
	}
	commands := []string{
		fmt.Sprintf("addr add %s/32 dev eth0", outsideAddrs[0]),
		fmt.Sprintf("addr add %s/128 dev eth0 nodad", outsideAddrs[1]),
		"route add 192.168.0.0/24 dev eth0", "route add fd00:1::/64 dev eth0",
	}
	for number := 1; number <= podPlaces+nodeCount; number++ {
		commands = append(commands, routeToPod(number)...)
	}
	return n.IP(commands...)
}

// outsideAddrs are two of those that questions of the generator ask about.
var outsideAddrs = [2]netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::9")}

// nodeAddrs returns the addresses of a Node.
func nodeAddrs(name string) [2]netip.Addr {
	ips := random.NodeIPs(name)
	return [2]netip.Addr{netip.MustParseAddr(ips[0]), netip.MustParseAddr(ips[1])}
}

// routeToPod returns the commands that lead packets for a Pod to its Node.
func routeToPod(number int) []string {
	via := nodeAddrs("n" + strconv.Itoa(nodeOf(number)+1))
	addrs := podAddrs(number)
	return []string{
		fmt.Sprintf("route add %s/32 via %s dev eth0", addrs[0], via[0]),
		fmt.Sprintf("route add %s/128 via %s dev eth0", addrs[1], via[1]),
	}
}

// wireNode makes a Node with an empty bridge.
func (w *wiring) wireNode(name string) error {
	n, err := w.namespace(name)
	if err != nil {
		return err
	}
	addrs := nodeAddrs(name)
	w.nodes = append(w.nodes, &place{Namespace: n, addrs: addrs, node: name})
	if err := attach(n, w.fabric); err != nil {
		return err
	}
	if err := n.Set(map[string]string{
		"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1",
		"net/ipv4/conf/all/send_redirects": "0", "net/ipv4/conf/default/send_redirects": "0",
		// A refusal is an ICMP message, of which the kernel would send few a second.
		"net/ipv4/icmp_ratelimit": "0", "net/ipv6/icmp/ratelimit": "0",
	}); err != nil {
		return err
	}
	commands := []string{
		fmt.Sprintf("addr add %s/24 dev eth0", addrs[0]), fmt.Sprintf("addr add %s/64 dev eth0 nodad", addrs[1]),
		fmt.Sprintf("route add %s/32 dev eth0", outsideAddrs[0]),
		fmt.Sprintf("route add %s/128 dev eth0", outsideAddrs[1]),
		"link add br0 address " + gatewayMAC + " type bridge", "link set br0 up",
		"addr add " + gateway[0] + "/32 dev br0", "addr add " + gateway[1] + "/64 dev br0 nodad",
	}
	for number := 1; number <= podPlaces+nodeCount; number++ {
		if own := podAddrs(number); "n"+strconv.Itoa(nodeOf(number)+1) == name {
			commands = append(commands,
				fmt.Sprintf("route add %s/32 dev br0 src %s", own[0], addrs[0]),
				fmt.Sprintf("route add %s/128 dev br0 src %s", own[1], addrs[1]),
				fmt.Sprintf("neigh add %s lladdr %s dev br0 nud permanent", own[1], podMAC(number)))
			continue
		}
		commands = append(commands, routeToPod(number)...)
	}
	return n.IP(commands...)
}

// gateway is what every Pod has as its gateway: an address of its Node's bridge.
var gateway = [2]string{"169.254.1.1", "fe80::1"}

// gatewayMAC and podMAC are link-layer addresses. Pods and their Node know each other's, and need not ask: kube-router
// 2.1.0 takes the answers of IPv6's neighbour discovery for traffic of the Pod, and denies them to a Pod whose egress
// is isolated (its issue 1895).
const gatewayMAC = "02:00:00:00:00:01"

func podMAC(number int) string { return fmt.Sprintf("02:00:00:00:01:%02x", number) }

// wirePod makes a Pod's namespace and its cable. The numbers after podPlaces are probes.
func (w *wiring) wirePod(number int) error {
	name := "p" + strconv.Itoa(number)
	n, err := w.namespace(name)
	if err != nil {
		return err
	}
	node := w.nodes[nodeOf(number)]
	p := &place{Namespace: n, addrs: podAddrs(number), node: node.node, isPod: true}
	if number <= podPlaces {
		w.pods = append(w.pods, p)
	} else {
		w.probes = append(w.probes, p)
	}
	if err := attach(n, node.Namespace); err != nil {
		return err
	}
	return n.IP(
		"link set eth0 address "+podMAC(number),
		fmt.Sprintf("addr add %s/32 dev eth0", p.addrs[0]), fmt.Sprintf("addr add %s/128 dev eth0 nodad", p.addrs[1]),
		"route add "+gateway[0]+" dev eth0", "route add default via "+gateway[0],
		"route add default via "+gateway[1]+" dev eth0",
		"neigh add "+gateway[1]+" lladdr "+gatewayMAC+" dev eth0 nud permanent",
	)
}

// places returns all ends of connections but the probes.
func (w *wiring) ends() []*place {
	return append(append(append([]*place{}, w.pods...), w.nodes...), w.outside)
}

// places returns all ends of connections.
func (w *wiring) places() []*place { return append(w.ends(), w.probes...) }

// Close undoes the wiring.
func (w *wiring) Close() {
	for _, e := range w.echoes {
		e.Close()
	}
	for _, n := range w.all {
		n.Close() //nolint:errcheck,gosec // it is not used any more
	}
	w.threads.Close()
}
