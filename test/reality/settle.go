//go:build linux

package reality

import (
	"context"
	"errors"
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
)

// probeNamespace has a Pod on every Node that takes no other part.
const probeNamespace = "probe"

// probePorts are the two ports of which the probe policy opens one.
var probePorts = [2]uint16{1001, 1002}

// settleTimeout is for a busy machine. The plugin writes all its rules anew after every change.
const settleTimeout = 2 * time.Minute

func (c *cluster) createProbes() {
	c.tb.Helper()
	c.createNamespace(probeNamespace, nil)
	for _, p := range c.probes {
		c.createPod(newPod(probeNamespace, "on-"+p.node, p), "Running", p.texts()...)
	}
}

// probePolicy returns the probe policy that opens one of the probe ports.
func probePolicy(open uint16) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: probeNamespace, Name: "probe"},
		Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{
			Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(int32(open)))}},
		}}},
	}
}

// settle returns when every Node enforces all that the API server has, and netpold answers by it.
//
// It changes the probe policy, which is the last of all policies to change, and waits until packets and netpold
// show it. It does so twice: Pods and Namespaces come in watches of their own, which may be behind the first time.
func (c *cluster) settle() {
	c.tb.Helper()
	for range 2 {
		open, shut := probePorts[c.settled%2], probePorts[(c.settled+1)%2]
		c.settled++
		c.apply(probePolicy(open))
		kubetest.Eventually(c.tb, settleTimeout, func(ctx context.Context) error {
			return errors.Join(c.checkProbes(ctx, open, true), c.checkProbes(ctx, shut, false))
		})
	}
}

// checkProbes returns an error unless a port of all probes is as wanted, for packets and for netpold.
func (c *cluster) checkProbes(ctx context.Context, number uint16, want bool) error {
	var list []connection
	for _, p := range c.probes {
		for f := range families {
			list = append(list, connection{c.outside, p, f, port{"tcp", number}})
		}
	}
	for _, t := range list {
		for _, asked := range []*netpold.Client{c.api, c.like} {
			if err := answers(ctx, asked, t, want); err != nil {
				return err
			}
		}
	}
	opened, err := try(list)
	if err != nil {
		return err
	}
	for i, got := range opened {
		if got != want {
			return fmt.Errorf("packets: %s: %v, want %v", list[i], got, want)
		}
	}
	return nil
}

// answers returns an error unless netpold answers as wanted about a connection of TCP.
func answers(ctx context.Context, asked *netpold.Client, t connection, want bool) error {
	answer, err := asked.Allowed(ctx, &netpoldv1.AllowedRequest{
		Src: netpold.IP(t.src.addrs[t.family].String()), Dst: netpold.IP(t.dst.addrs[t.family].String()),
		Port: uint32(t.port.number),
	})
	if err != nil {
		return err
	}
	if answer.GetAllowed() != want {
		return fmt.Errorf("netpold: %s: %v, want %v", t, answer.GetAllowed(), want)
	}
	return nil
}

// apply creates a policy, or replaces it.
func (c *cluster) apply(p *networkingv1.NetworkPolicy) {
	c.tb.Helper()
	of, ctx := c.client.NetworkingV1().NetworkPolicies(p.Namespace), c.tb.Context()
	_, err := of.Update(ctx, p, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = of.Create(ctx, p, metav1.CreateOptions{})
	}
	c.must(err)
}
