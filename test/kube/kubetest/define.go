package kubetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

var definitions = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// Dynamic is a client for any kind, with all rights.
func (c *Cluster) Dynamic() dynamic.Interface {
	c.tb.Helper()
	client, err := dynamic.NewForConfig(c.Admin())
	if err != nil {
		c.tb.Fatalf("client: %v", err)
	}
	return client
}

// Define gives the API server a resource whose objects may have any field, and waits until it takes them.
func (c *Cluster) Define(ctx context.Context, of schema.GroupVersionResource, kind string, namespaced bool) {
	c.tb.Helper()
	scope := map[bool]string{true: "Namespaced", false: "Cluster"}[namespaced]
	c.ApplyDefinition(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{
			"name": of.GroupResource().String(),
			// Groups of Kubernetes itself want to know who approved.
			"annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, for a test"},
		},
		"spec": map[string]any{
			"group": of.Group, "scope": scope,
			"names": map[string]any{"plural": of.Resource, "singular": strings.ToLower(kind), "kind": kind},
			"versions": []any{map[string]any{
				"name": of.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "x-kubernetes-preserve-unknown-fields": true,
				}},
			}},
		},
	}})
}

// ApplyDefinition applies a CustomResourceDefinition, and waits until each version is served that says so.
func (c *Cluster) ApplyDefinition(ctx context.Context, definition *unstructured.Unstructured) {
	c.tb.Helper()
	if err := c.Applier().Apply(ctx, definition, false); err != nil {
		c.tb.Fatal(err)
	}
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, v := range versions {
		version := v.(map[string]any)
		if version["served"] != true {
			continue
		}
		resource := schema.GroupVersionResource{Group: group, Version: version["name"].(string), Resource: plural}
		Eventually(c.tb, time.Minute, func(ctx context.Context) error {
			if _, err := c.Dynamic().Resource(resource).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
				return fmt.Errorf("%v is not served: %w", resource, err)
			}
			return nil
		})
	}
}

// Undefine takes a resource's definition away, with all of its objects, and waits until that is done.
func (c *Cluster) Undefine(ctx context.Context, of schema.GroupResource) {
	c.tb.Helper()
	client := c.Dynamic().Resource(definitions)
	if err := client.Delete(ctx, of.String(), metav1.DeleteOptions{}); err != nil {
		c.tb.Fatal(err)
	}
	Eventually(c.tb, time.Minute, func(ctx context.Context) error {
		if _, err := client.Get(ctx, of.String(), metav1.GetOptions{}); err == nil {
			return fmt.Errorf("%v is still there", of)
		}
		return nil
	})
}
