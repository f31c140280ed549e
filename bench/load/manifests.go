package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// object is a Kubernetes object, or a part of one, as its JSON has it.
type object = map[string]any

// writeManifests writes a cluster as a file of manifests.
func writeManifests(dir string, c *synthetic.Cluster) (path string, err error) {
	path = filepath.Join(dir, "cluster.yaml")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriter(file)
	for _, change := range c.Changes() {
		if err := writeObject(w, change.Object); err != nil {
			return "", err
		}
	}
	return path, w.Flush()
}

// writeObject writes one document: JSON is YAML, and read faster.
func writeObject(w io.Writer, o engine.Object) error {
	var manifest object
	switch o := o.(type) {
	case *engine.Namespace:
		manifest = object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": o.Name, "labels": o.Labels}}
	case *engine.Node:
		manifest = object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": o.Name}, "status": object{"addresses": addresses(o.IPs)}}
	case *engine.Pod:
		manifest = podOf(o)
	case *engine.Policy:
		var err error
		if manifest, err = policyOf(o); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no manifest is written for %T", o)
	}
	if _, err := io.WriteString(w, "---\n"); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(manifest)
}

func addresses(ips []netip.Addr) []object {
	var list []object
	for _, ip := range ips {
		list = append(list, object{"type": "InternalIP", "address": ip})
	}
	return list
}

// podOf has no creation time, which matters only to Pods of one address, nor its workload, which nobody here asks for.
func podOf(p *engine.Pod) object {
	var ports, podIPs, hostIPs []object
	for _, n := range p.Ports {
		ports = append(ports, object{"name": n.Name, "containerPort": n.Port, "protocol": n.Protocol.String()})
	}
	for _, ip := range p.IPs {
		podIPs = append(podIPs, object{"ip": ip})
	}
	for _, ip := range p.HostIPs {
		hostIPs = append(hostIPs, object{"ip": ip})
	}
	status := object{"phase": "Running", "podIPs": podIPs, "hostIPs": hostIPs}
	if len(p.IPs) > 0 && len(p.HostIPs) > 0 {
		status["podIP"], status["hostIP"] = p.IPs[0], p.HostIPs[0]
	}
	return object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"namespace": p.Namespace, "name": p.Name, "uid": p.UID, "labels": p.Labels},
		"spec":     object{"nodeName": p.Node, "containers": []object{{"name": "main", "image": "example.org/main", "ports": ports}}},
		"status":   status,
	}
}

func policyOf(p *engine.Policy) (object, error) {
	types := []string{}
	if p.IsolatesIngress {
		types = append(types, "Ingress")
	}
	if p.IsolatesEgress {
		types = append(types, "Egress")
	}
	subject, err := selectorOf(p.Subject)
	if err != nil {
		return nil, err
	}
	ingress, err := rulesOf(p.Ingress, "from")
	if err != nil {
		return nil, err
	}
	egress, err := rulesOf(p.Egress, "to")
	if err != nil {
		return nil, err
	}
	return object{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": object{"namespace": p.Namespace, "name": p.Name},
		"spec":     without(object{"podSelector": subject, "policyTypes": types, "ingress": ingress, "egress": egress}),
	}, nil
}

// without leaves out lists that are empty: a list of peers that is there says that there are some.
func without(o object) object {
	for key, value := range o {
		if list, ok := value.([]object); ok && len(list) == 0 {
			delete(o, key)
		}
	}
	return o
}

// rulesOf writes peers under the key of the direction.
func rulesOf(list []engine.Rule, peersKey string) ([]object, error) {
	var rules []object
	for _, r := range list {
		var peers, ports []object
		for _, p := range r.Peers {
			peer, err := peerOf(p)
			if err != nil {
				return nil, err
			}
			peers = append(peers, peer)
		}
		for _, p := range r.Ports {
			ports = append(ports, portOf(p))
		}
		rules = append(rules, without(object{peersKey: peers, "ports": ports}))
	}
	return rules, nil
}

func peerOf(p engine.Peer) (object, error) {
	to := object{}
	for key, selector := range map[string]*engine.Selector{"podSelector": p.Pods, "namespaceSelector": p.Namespaces} {
		if selector == nil {
			continue
		}
		s, err := selectorOf(*selector)
		if err != nil {
			return nil, err
		}
		to[key] = s
	}
	if p.Block != nil {
		to["ipBlock"] = object{"cidr": p.Block.CIDR, "except": p.Block.Except}
	}
	return to, nil
}

func portOf(p engine.Port) object {
	to := object{"protocol": p.Protocol.String()}
	switch {
	case p.Name != "":
		to["port"] = p.Name
	case p.Last > p.First:
		to["port"], to["endPort"] = p.First, p.Last
	default:
		to["port"] = p.First
	}
	return to
}

// selectorOf writes equality, which is all that synthetic clusters select by.
func selectorOf(s engine.Selector) (object, error) {
	labels := map[string]string{}
	for _, r := range s {
		if r.Operator != engine.In || len(r.Values) != 1 {
			return nil, fmt.Errorf("no manifest is written for the requirement %+v", r)
		}
		labels[r.Key] = r.Values[0]
	}
	if len(labels) != len(s) {
		return nil, fmt.Errorf("no manifest is written for a selector with one key twice: %+v", s)
	}
	return object{"matchLabels": labels}, nil
}
