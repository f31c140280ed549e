package flowstest

import (
	"bufio"
	"encoding/json"
	"io"
	"time"
)

// hubbleFields are the fields that a Record has, as encoding/json decodes them.
type hubbleFields struct {
	Flow *struct {
		Time    time.Time `json:"time"`
		Verdict string    `json:"verdict"`
		Reason  int       `json:"drop_reason"`
		Desc    string    `json:"drop_reason_desc"`
		IP      struct {
			Source      string `json:"source"`
			Destination string `json:"destination"`
		} `json:"IP"`
		L4 struct {
			TCP, UDP, SCTP *struct {
				Port  uint16 `json:"destination_port"`
				Flags struct{ SYN, ACK bool }
			}
		} `json:"l4"`
		Source      hubbleEnd
		Destination hubbleEnd
		Type        string
		Direction   string         `json:"traffic_direction"`
		IsReply     *bool          `json:"is_reply"`
		EgressBy    []hubblePolicy `json:"egress_allowed_by"`
		IngressBy   []hubblePolicy `json:"ingress_allowed_by"`
		NotEgress   []hubblePolicy `json:"egress_denied_by"`
		NotIngress  []hubblePolicy `json:"ingress_denied_by"`
	} `json:"flow"`
}

type hubbleEnd struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod_name"`
}

type hubblePolicy struct {
	Kind, Namespace, Name string
	Labels                []string
}

// DecodeHubble reads Hubble's lines and decodes with encoding/json the fields that a Record has, for benchmarks
// to be compared with. It returns how many lines there are. A line is at most 64 KiB.
func DecodeHubble(from io.Reader) (records int, err error) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var fields hubbleFields
		if err := json.Unmarshal(lines.Bytes(), &fields); err != nil {
			return records, err
		}
		records++
	}
	return records, lines.Err()
}
