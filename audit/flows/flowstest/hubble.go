package flowstest

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// AppendHubble appends a record as one of the releases 1.14 to 1.18 of Cilium prints it by "hubble observe -o
// json", with the labels of a cluster in use: about 1 KiB. Which release, and what the record does not say,
// is told by the record itself, so that it is always the same.
func AppendHubble(to []byte, rec *flows.Record) []byte {
	h := hubbleLine{rec: rec, dice: diceOf(rec), to: to}
	h.release = 14 + h.pick(5)
	switch {
	case rec.Why == flows.Malformed:
		h.add(`{"flow":{"time":"`, h.time(), `","verdict":"FORWARDED","IP":{"source":"`)
	case rec.Why == flows.NotAFlow && h.pick(2) == 0:
		h.add(`{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"`, strconv.Itoa(h.pick(100)),
			`"},"node_name":"prod/worker-1","time":"`, h.time(), `"}`)
	case rec.Why == flows.NotAFlow:
		h.add(`{"node_status":{"state_change":"NODE_CONNECTED","node_names":["prod/worker-1","prod/worker-2"]},`+
			`"time":"`, h.time(), `"}`)
	default:
		h.flow()
	}
	h.add("\n")
	return h.to
}

// hubbleLine writes one line.
type hubbleLine struct {
	rec     *flows.Record
	dice    uint64
	release int
	to      []byte
}

// diceOf returns a number that depends on the record alone.
func diceOf(rec *flows.Record) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write(rec.Time.AppendFormat(nil, time.RFC3339Nano))
	_, _ = sum.Write(rec.Src.IP.AppendTo(nil))
	_, _ = sum.Write(rec.Dst.IP.AppendTo(nil))
	return sum.Sum64()
}

// pick returns a number below n.
func (h *hubbleLine) pick(n int) int {
	h.dice = h.dice*6364136223846793005 + 1442695040888963407
	return int(h.dice >> 33 % uint64(n))
}

func (h *hubbleLine) add(texts ...string) {
	for _, text := range texts {
		h.to = append(h.to, text...)
	}
}

func (h *hubbleLine) time() string { return h.rec.Time.UTC().Format(time.RFC3339Nano) }

func (h *hubbleLine) number(n int) string { return strconv.Itoa(n) }

// flow writes {"flow":{...},"node_name":...,"time":...}.
func (h *hubbleLine) flow() {
	rec := h.rec
	node := "prod/worker-" + h.number(h.pick(8))
	h.add(`{"flow":{`)
	if !rec.Time.IsZero() {
		h.add(`"time":"`, h.time(), `",`)
	}
	h.add(`"uuid":"`, h.uuid(), `",`)
	h.verdict()
	h.add(`"ethernet":{"source":"`, h.mac(), `","destination":"`, h.mac(), `"},"IP":{"source":"`,
		rec.Src.IP.String(), `","destination":"`, rec.Dst.IP.String(), `","ipVersion":"`, ipVersion(rec), `"},`)
	summary := h.transport()
	h.add(`"source":`)
	h.endpoint(rec.Src)
	h.add(`,"destination":`)
	h.endpoint(rec.Dst)
	if rec.Why == flows.NotL4 && rec.Port != 0 {
		h.add(`,"Type":"L7","l7":{"type":"REQUEST","http":{"method":"GET","url":"http://cart/\"a\"",` +
			`"protocol":"HTTP/1.1"}}`)
	} else {
		h.add(`,"Type":"L3_L4"`)
	}
	h.add(`,"node_name":"`, node, `",`)
	if h.release >= 16 {
		h.add(`"node_labels":["kubernetes.io/arch=amd64","kubernetes.io/os=linux"],`)
	}
	h.reply()
	h.add(`"event_type":{"type":4},`)
	switch rec.Direction {
	case flows.AtEgress:
		h.add(`"traffic_direction":"EGRESS",`)
	case flows.AtIngress:
		h.add(`"traffic_direction":"INGRESS",`)
	case flows.NoDirection:
	}
	h.add(`"trace_observation_point":"TO_ENDPOINT","interface":{"index":`, h.number(h.pick(200)),
		`,"name":"lxc8308dc5301b3"},`)
	h.policies()
	h.add(`"Summary":"`, summary, `"},"node_name":"`, node, `"`)
	if !rec.Time.IsZero() {
		h.add(`,"time":"`, h.time(), `"`)
	}
	h.add(`}`)
}

func ipVersion(rec *flows.Record) string {
	if rec.Src.IP.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func (h *hubbleLine) uuid() string {
	text := strconv.FormatUint(h.dice|1<<63, 16)
	return text[:8] + "-" + text[8:12] + "-4a4f-8d0c-" + text[4:]
}

func (h *hubbleLine) mac() string {
	text := strconv.FormatUint(h.dice|1<<63, 16)
	h.pick(2)
	return "a2:" + text[:2] + ":" + text[2:4] + ":" + text[4:6] + ":" + text[6:8] + ":" + text[8:10]
}

func (h *hubbleLine) verdict() {
	const policy = `"verdict":"DROPPED",`
	switch h.rec.Observed {
	case flows.ObservedAllowed:
		h.add(`"verdict":"`, []string{"FORWARDED", "FORWARDED", "REDIRECTED"}[h.pick(3)], `",`)
	case flows.ObservedDenied:
		h.add([]string{
			policy + `"drop_reason":133,"drop_reason_desc":"POLICY_DENIED",`,
			policy + `"drop_reason_desc":"POLICY_DENY",`,
			policy + `"drop_reason":181,`,
			`"verdict":"AUDIT",`,
		}[h.pick(4)])
	case flows.NotObserved:
		h.add([]string{
			policy + `"drop_reason":158,"drop_reason_desc":"SERVICE_BACKEND_NOT_FOUND",`,
			`"verdict":"TRACED",`, `"verdict":"TRANSLATED",`, ``,
		}[h.pick(4)])
	}
}

// transport writes l4 and returns the summary of the flow. A reply shows by is_reply or by SYN and ACK.
func (h *hubbleLine) transport() string {
	rec := h.rec
	if rec.Port == 0 {
		h.add(`"l4":{"ICMPv4":{"type":8}},`)
		return "ICMPv4 EchoRequest"
	}
	h.add(`"l4":{"`, rec.Protocol.String(), `":{"source_port":`, h.number(32768+h.pick(28000)),
		`,"destination_port":`, h.number(int(rec.Port)))
	summary := rec.Protocol.String()
	if rec.Protocol == engine.TCP {
		switch {
		case h.bySYN():
			h.add(`,"flags":{"SYN":true,"ACK":true}`)
			summary = "TCP Flags: SYN, ACK"
		case h.pick(3) > 0:
			h.add(`,"flags":{"SYN":true}`)
			summary = "TCP Flags: SYN"
		default:
			h.add(`,"flags":{"PSH":true,"ACK":true}`)
			summary = "TCP Flags: ACK, PSH"
		}
	}
	h.add(`}},`)
	return summary
}

// bySYN reports whether the record is a reply that no is_reply tells.
func (h *hubbleLine) bySYN() bool {
	return h.rec.Why == flows.Reply && h.rec.Protocol == engine.TCP && h.release%2 == 0
}

func (h *hubbleLine) reply() {
	switch {
	case h.bySYN():
	case h.rec.Why == flows.Reply:
		h.add(`"reply":true,"is_reply":true,`)
	case h.pick(3) > 0:
		h.add(`"is_reply":false,`)
	}
}

func (h *hubbleLine) endpoint(end flows.End) {
	if end.Pod == "" {
		h.add(`{"identity":2,"labels":["reserved:world"]}`)
		return
	}
	app, _, _ := strings.Cut(end.Pod, "-")
	h.add(`{"ID":`, h.number(1+h.pick(4000)), `,"identity":`, h.number(1000+h.pick(60000)))
	if h.release >= 15 {
		h.add(`,"cluster_name":"prod"`)
	}
	h.add(`,"namespace":"`, end.Namespace, `","labels":["k8s:app=`, app,
		`","k8s:io.cilium.k8s.policy.serviceaccount=`, app, `","k8s:io.kubernetes.pod.namespace=`, end.Namespace,
		`"],"pod_name":"`, end.Pod, `","workloads":[{"name":"`, app, `","kind":"Deployment"}]}`)
}

// policies writes the policies that decided. Releases before 1.17 tell the kind by a label alone.
func (h *hubbleLine) policies() {
	side := "ingress"
	if h.rec.Direction == flows.AtEgress {
		side = "egress"
	}
	h.policyList(side+"_allowed_by", h.rec.AllowedBy)
	h.policyList(side+"_denied_by", h.rec.DeniedBy)
}

func (h *hubbleLine) policyList(key string, policies []string) {
	if len(policies) == 0 {
		return
	}
	h.add(`"`, key, `":[`)
	for i, policy := range policies {
		if i > 0 {
			h.add(`,`)
		}
		kind, name, _ := strings.Cut(policy, " ")
		namespace, name, inNamespace := cutName(name)
		h.add(`{"name":"`, name, `"`)
		if inNamespace {
			h.add(`,"namespace":"`, namespace, `"`)
		}
		h.add(`,"labels":["k8s:io.cilium.k8s.policy.derived-from=`, kind, `","k8s:io.cilium.k8s.policy.name=`, name,
			`"],"revision":"6"`)
		if h.release >= 17 {
			h.add(`,"kind":"`, kind, `"`)
		}
		h.add(`}`)
	}
	h.add(`],`)
}

func cutName(full string) (namespace, name string, inNamespace bool) {
	if namespace, name, ok := strings.Cut(full, "/"); ok {
		return namespace, name, true
	}
	return "", full, false
}
