//go:build linux

package reality

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A scene is one case of a suite that others have written: Pods in namespaces of its own, and policies. Namespaces
// have one letter in its texts, $x where YAML names them, and a name that no other scene has in the cluster.
type scene struct {
	name string
	// pods are names with labels and ports: "x/web app=web http=80/TCP".
	pods []string
	// policies are the namespace and the spec: "x: {podSelector: {}}". @x/web is a Pod's address of IPv4 as a
	// prefix, and @@x/web that of IPv6.
	policies []string
	// open reports whether its policies deny nothing.
	open bool
	// then is what changes once all of that has been judged; nil for nothing.
	then *change
	// unfollowed are the plugins that do otherwise in a way that no switch follows, with the rule. Some connection
	// must show it, or the scene does not belong here any more.
	unfollowed map[string]string
}

// A change is what changes of a scene.
type change struct {
	// policies are all that there are from now on, unless nil.
	policies []string
	// labels are added: "x/a target=isolated" to a Pod, "y ns2=updated" to a namespace.
	labels []string
}

// A staged scene has a part of the cluster.
type staged struct {
	*scene
	c *cluster
	// number makes its names different from those of other scenes.
	number int
	// places are those of its Pods.
	places []*place
}

// scenes stages as many scenes at a time as there are places for Pods, and judges every connection of the cluster,
// within scenes and across them. asked are the ports that the scenes are about.
func scenes(t *testing.T, c *cluster, list []scene, asked ...port) {
	tried := 0
	for number := 0; number < len(list); {
		c.clear()
		var stage []*staged
		free := c.pods
		for number < len(list) && len(list[number].pods) <= len(free) {
			s := &staged{&list[number], c, number, free[:len(list[number].pods)]}
			free = free[len(s.pods):]
			number++
			s.raise()
			stage = append(stage, s)
		}
		tried += c.judgeScenes(t, stage, asked)
		for _, s := range stage {
			s.checkSense(t, asked)
		}
		changed := slices.DeleteFunc(slices.Clone(stage), func(s *staged) bool { return s.then == nil })
		if len(changed) == 0 {
			continue
		}
		for _, s := range changed {
			s.change()
		}
		tried += c.judgeScenes(t, stage, asked)
	}
	t.Logf("%d real connections in %d scenes", tried, len(list))
}

// judgeScenes opens every connection with an end in a scene, and returns how many that were. Those between two scenes
// are opened on one port.
func (c *cluster) judgeScenes(t *testing.T, stage []*staged, asked []port) (tried int) {
	t.Helper()
	c.settle()
	used := 0
	for _, s := range stage {
		used += len(s.places)
	}
	list := slices.DeleteFunc(c.among(used, asked...), func(t connection) bool {
		return t.port != asked[0] && t.src.isPod && t.dst.isPod &&
			!slices.ContainsFunc(stage, func(s *staged) bool { return s.has(t.src) && s.has(t.dst) })
	})
	for _, s := range stage {
		if s.unfollowed[c.plugin.name()] == "" {
			continue
		}
		ofScene := func(t connection) bool { return s.has(t.src) || s.has(t.dst) }
		theirs := slices.DeleteFunc(slices.Clone(list), func(t connection) bool { return !ofScene(t) })
		list = slices.DeleteFunc(list, ofScene)
		if differ := c.judge(c.like, theirs, 1); len(differ) == 0 {
			t.Errorf("%q: %s does as netpold answers, and is said not to", s.name, c.plugin.name())
		}
		tried += len(theirs)
	}
	for _, d := range c.judge(c.like, list, manyRounds) {
		t.Errorf("%s%s", d, between(stage, d.connection))
	}
	return tried + len(list)
}

// between returns the names of the scenes that a connection is between.
func between(stage []*staged, t connection) string {
	text := ""
	for _, s := range stage {
		for end, at := range map[string]*place{"from": t.src, "to": t.dst} {
			if i := slices.Index(s.places, at); i >= 0 {
				pod, _, _ := strings.Cut(s.pods[i], " ")
				text += fmt.Sprintf("; %s %s of %q", end, pod, s.name)
			}
		}
	}
	return text
}

// has reports whether a place is of one of its Pods.
func (s *staged) has(p *place) bool { return slices.Contains(s.places, p) }

// checkSense fails the test if the policies of the scene deny nothing although they are meant to: one that selects
// nobody would prove nothing.
func (s *staged) checkSense(t *testing.T, asked []port) {
	t.Helper()
	list := slices.DeleteFunc(s.c.between(asked...), func(t connection) bool {
		return t.src.isPod && !s.has(t.src) || t.dst.isPod && !s.has(t.dst)
	})
	if open := !slices.Contains(s.c.ask(s.c.api, list), false); open != s.open {
		t.Errorf("%q: that it denies nothing is %v, want %v", s.name, open, s.open)
	}
}

// namespace returns the name of a namespace of the scene.
func (s *staged) namespace(letter string) string { return fmt.Sprintf("%s%d", letter, s.number) }

// raise makes the Pods and policies of the scene.
func (s *staged) raise() {
	for i, text := range s.pods {
		name, rest, _ := strings.Cut(text, " ")
		letter, pod, _ := strings.Cut(name, "/")
		s.c.createNamespace(s.namespace(letter), nil)
		p := newPod(s.namespace(letter), pod, s.places[i])
		s.c.createPod(p, describePod(p, rest), s.places[i].texts()...)
	}
	s.write(s.policies)
}

// write makes policies.
func (s *staged) write(policies []string) {
	s.c.tb.Helper()
	for i, text := range policies {
		letter, spec, _ := strings.Cut(text, ": ")
		p := &networkingv1.NetworkPolicy{}
		p.Namespace, p.Name = s.namespace(letter), fmt.Sprintf("p%d", i)
		spec = s.words().Replace(spec)
		if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
			s.c.tb.Fatalf("%s: %v", s.name, err)
		}
		s.c.apply(p)
	}
}

// words replaces what stands for names and addresses in the scene's texts.
func (s *staged) words() *strings.Replacer {
	list := []string{"$x", s.namespace("x"), "$y", s.namespace("y"), "$z", s.namespace("z")}
	for i, text := range s.pods {
		pod, _, _ := strings.Cut(text, " ")
		for f, mark := range []string{"@", "@@"} {
			addr := s.places[i].addrs[f]
			list = append(list, mark+pod, netip.PrefixFrom(addr, addr.BitLen()).String())
		}
	}
	return strings.NewReplacer(list...)
}

// change makes the scene's change.
func (s *staged) change() {
	s.c.tb.Helper()
	ctx := s.c.tb.Context()
	if s.then.policies != nil {
		for _, text := range s.policies {
			letter, _, _ := strings.Cut(text, ":")
			s.c.must(s.c.client.NetworkingV1().NetworkPolicies(s.namespace(letter)).
				DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
		}
		s.write(s.then.policies)
	}
	for _, text := range s.then.labels {
		name, label, _ := strings.Cut(text, " ")
		key, value, _ := strings.Cut(label, "=")
		letter, pod, isPod := strings.Cut(name, "/")
		if !isPod {
			s.c.label(s.namespace(letter), map[string]string{key: value})
			continue
		}
		of := s.c.client.CoreV1().Pods(s.namespace(letter))
		p, err := of.Get(ctx, pod, metav1.GetOptions{})
		s.c.must(err)
		labels := maps.Clone(p.Labels)
		labels[key] = value
		p.Labels = labels
		_, err = of.Update(ctx, p, metav1.UpdateOptions{})
		s.c.must(err)
	}
}
