package engine_test

import (
	"net/netip"
	"reflect"
	"strconv"
	"testing"
	"unsafe"

	"github.com/netpold/netpold/engine"
)

// leaves returns the fields of a struct that are no structs themselves, unexported ones too, for writing.
// netip.Addr counts as one field.
func leaves(path string, v reflect.Value, yield func(path string, v reflect.Value)) {
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[netip.Addr]() {
		yield(path, reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem())
		return
	}
	for i := range v.NumField() {
		leaves(path+"."+v.Type().Field(i).Name, v.Field(i), yield)
	}
}

// other returns a value of a leaf's type that a question could have in place of that which it has.
func other(t *testing.T, v reflect.Value) reflect.Value {
	switch old := v.Interface().(type) {
	case netip.Addr:
		return reflect.ValueOf(old.Next())
	case *engine.LabelledPod:
		return reflect.ValueOf(&engine.LabelledPod{Namespace: "shop"})
	}
	fresh := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		fresh.SetString(v.String() + "-2")
	case reflect.Uint8, reflect.Uint16:
		fresh.SetUint(v.Uint() + 1)
	case reflect.Bool:
		fresh.SetBool(!v.Bool())
	default:
		t.Fatalf("%v: a field of this type is new: think of the Key, the ReadSet, and this test", v.Type())
	}
	return fresh
}

// TestKeyHoldsEveryInput: two questions that differ in any field, whatever fields there come to be, have
// different keys. What an end by labels refers to is not in the key; such a question has none.
func TestKeyHoldsEveryInput(t *testing.T) {
	for name, q := range map[string]engine.Query{
		"addresses": {Src: byIP("10.0.0.1"), Dst: byIP("2001:db8::1"), Port: 80},
		"Pods": {
			Src: engine.ByPod("shop", "web"), Dst: engine.ByPod("shop", "db"), Port: 80, Protocol: engine.UDP,
		},
		"several": {
			Src: engine.ByWorkload("shop", engine.Workload{Kind: "Deployment", Name: "web"}),
			Dst: engine.ByService("shop", "db"), Port: 80,
		},
	} {
		had, ok := q.Key()
		if !ok {
			t.Fatalf("%s: no key", name)
		}
		if again, _ := q.Key(); again != had {
			t.Errorf("%s: another key the second time", name)
		}
		seen := 0
		leaves("Query", reflect.ValueOf(&q).Elem(), func(path string, v reflect.Value) {
			seen++
			old := reflect.ValueOf(v.Interface())
			if !v.IsZero() || path == "Query.Port" || path == "Query.Protocol" || v.Kind() == reflect.String {
				v.Set(other(t, v))
				if k, ok := q.Key(); ok && k == had {
					t.Errorf("%s: a different %s has the same key", name, path)
				}
			}
			if old.IsValid() {
				v.Set(old)
			} else {
				v.SetZero()
			}
		})
		if seen != 14 {
			t.Errorf("%d fields seen, and not 14: think of the Key, the ReadSet, and this test", seen)
		}
	}
}

// TestNoKey proves that what a key cannot hold has no key, and no ReadSet.
func TestNoKey(t *testing.T) {
	s := shop().Snapshot()
	good := engine.ByPod("shop", "db")
	for name, end := range map[string]engine.Endpoint{
		"no end":              {},
		"labels":              engine.ByLabels(&engine.LabelledPod{Namespace: "shop"}),
		"address not valid":   engine.ByIP(netip.Addr{}),
		"address with a zone": byIP("fe80::1%eth0"),
	} {
		for _, q := range []engine.Query{{Src: end, Dst: good, Port: 1}, {Src: good, Dst: end, Port: 1}} {
			if _, ok := q.Key(); ok {
				t.Errorf("%s: a key", name)
			}
			if _, ok := s.ReadSet(&q); ok && name == "labels" {
				t.Errorf("%s: a basis", name)
			}
		}
	}
}

// TestReadSetIsOfTheOptions proves that each option is an input of decisions.
func TestReadSetIsOfTheOptions(t *testing.T) {
	var o engine.Options
	q := engine.Query{Src: byIP("198.51.100.1"), Dst: byIP("198.51.100.2"), Port: 1}
	s := engine.NewCluster(o).Snapshot()
	b, ok := s.ReadSet(&q)
	if !ok || !s.StillHolds(&q, &b) {
		t.Fatal("the read set does not hold where it was taken")
	}
	leaves("Options", reflect.ValueOf(&o).Elem(), func(path string, v reflect.Value) {
		v.Set(other(t, v))
		if engine.NewCluster(o).Snapshot().StillHolds(&q, &b) {
			t.Errorf("the basis holds where %s is different", path)
		}
		v.SetZero()
	})
}

// TestReadSetTellsEndsApart proves that the Pods of one end are not taken for those of the other (S27).
func TestReadSetTellsEndsApart(t *testing.T) {
	c := engine.NewCluster(engine.Options{})
	pods := make([]*engine.Pod, 3)
	for i := range pods {
		pods[i] = &engine.Pod{
			Namespace: "shop", Name: "web-" + strconv.Itoa(i),
			IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})},
		}
	}
	of := func(pod int, names ...string) engine.Change {
		p := *pods[pod]
		for _, name := range names {
			p.Workloads = append(p.Workloads, engine.Workload{Kind: "Deployment", Name: name})
		}
		return engine.Change{Object: &p}
	}
	end := func(name string) engine.Endpoint {
		return engine.ByWorkload("shop", engine.Workload{Kind: "Deployment", Name: name})
	}
	q := engine.Query{Src: end("a"), Dst: end("b"), Port: 80}
	s := c.Apply(of(0, "a"), of(1, "a"), of(2, "b"))
	b, ok := s.ReadSet(&q)
	if !ok || !s.StillHolds(&q, &b) {
		t.Fatal("the read set does not hold where it was taken")
	}
	if c.Apply(of(0, "a"), of(1, "b"), of(2, "b")).StillHolds(&q, &b) {
		t.Error("the read set holds after a Pod went from one end to the other")
	}
}

// TestFansOut proves which questions are many in one.
func TestFansOut(t *testing.T) {
	s := shop().Apply(engine.Change{Object: &engine.Service{
		Namespace: "shop", Name: "db",
		IPs: []netip.Addr{netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("2001:db8::96")},
	}})
	web := engine.ByPod("shop", "web")
	workload := engine.ByWorkload("shop", engine.Workload{Kind: "Deployment", Name: "web"})
	for name, test := range map[string]struct {
		src, dst engine.Endpoint
		want     bool
	}{
		"Pods":                      {web, web, false},
		"a Service":                 {web, engine.ByService("shop", "db"), true},
		"a Service's address":       {web, byIP("10.96.0.1"), true},
		"a Service's IPv6 address":  {web, byIP("2001:db8::96"), true},
		"a Pod's address":           {web, byIP("10.0.0.3"), false},
		"a Node's address":          {web, byIP("192.0.2.1"), false},
		"an address outside":        {web, byIP("203.0.113.1"), false},
		"a workload as source":      {workload, byIP("10.0.0.3"), true},
		"a workload as destination": {web, workload, true},
		"a Service's IP as source":  {byIP("10.96.0.1"), web, false},
	} {
		if got := s.FansOut(&engine.Query{Src: test.src, Dst: test.dst, Port: 1}); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
