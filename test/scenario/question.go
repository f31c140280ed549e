package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Question is one line: a question and what is expected of its answer.
type Question struct {
	// Text is the line.
	Text string
	// Src and Dst are the ends in words; empty where the line gives the request as JSON.
	Src, Dst string
	// Request is the question as it is asked over the wire. It may be wrong on purpose (S28).
	Request *netpoldv1.AllowedRequest
	Want    Want
}

// ParseQuestions reads lines as the section "questions" of a scenario has them: SRC -> DST PORT[/PROTOCOL] =
// WANT, or an AllowedRequest as JSON before the "=". The error tells the line.
func ParseQuestions(text string) ([]Question, error) {
	var questions []Question
	err := lines(text, func(line string) error {
		q, err := parseQuestion(line)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		questions = append(questions, q)
		return nil
	})
	return questions, err
}

func parseQuestion(line string) (Question, error) {
	q := Question{Text: line}
	at := strings.LastIndex(line, " = ")
	if at < 0 {
		return Question{}, errors.New(`has no " = " before what is expected`)
	}
	asked := strings.TrimSpace(line[:at])
	var err error
	if strings.HasPrefix(asked, "{") {
		q.Request = new(netpoldv1.AllowedRequest)
		err = protojson.Unmarshal([]byte(asked), q.Request)
	} else {
		err = q.words(asked)
	}
	if err != nil {
		return Question{}, err
	}
	q.Want, err = parseWant(line[at+len(" = "):])
	q.Request.Details = q.Request.GetDetails() || q.Want.Notes != nil
	return q, err
}

func (q *Question) words(asked string) error {
	fields := strings.Fields(asked)
	if len(fields) != 4 || fields[1] != "->" {
		return errors.New("is not SRC -> DST PORT")
	}
	q.Src, q.Dst = fields[0], fields[2]
	src, err := ParseEndpoint(q.Src)
	if err != nil {
		return err
	}
	dst, err := ParseEndpoint(q.Dst)
	if err != nil {
		return err
	}
	port, protocol, err := parsePort(fields[3])
	if err != nil {
		return err
	}
	q.Request = &netpoldv1.AllowedRequest{Src: src, Dst: dst, Port: port, Protocol: protocol}
	return nil
}

// parsePort reads PORT or PORT/PROTOCOL. The port may be one that does not exist (S28).
func parsePort(word string) (uint32, netpoldv1.Protocol, error) {
	number, name, named := strings.Cut(word, "/")
	port, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("port %q is not a number", number)
	}
	if !named {
		return uint32(port), netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, nil
	}
	protocol, ok := netpoldv1.Protocol_value["PROTOCOL_"+name]
	if !ok || protocol == 0 {
		return 0, 0, fmt.Errorf("protocol %q is none of TCP, UDP and SCTP", name)
	}
	return uint32(port), netpoldv1.Protocol(protocol), nil
}
