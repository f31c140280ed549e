package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// Applier applies objects of any kind as "kubectl apply --server-side --validate=strict" does.
type Applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// Applier makes an Applier with all rights.
func (c *Cluster) Applier() *Applier {
	c.tb.Helper()
	client, err := dynamic.NewForConfig(c.Admin())
	if err != nil {
		c.tb.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(c.Admin())
	if err != nil {
		c.tb.Fatal(err)
	}
	return &Applier{client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))}
}

// Apply applies an object, or with dryRun only lets the API server say whether it would take it. Unknown and duplicate fields are
// errors.
func (a *Applier) Apply(ctx context.Context, object *unstructured.Unstructured, dryRun bool) error {
	kind := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
	}
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
	}
	options := metav1.PatchOptions{FieldManager: "test", Force: new(true), FieldValidation: metav1.FieldValidationStrict}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	resource := a.client.Resource(mapping.Resource)
	if namespace := object.GetNamespace(); namespace != "" {
		_, err = resource.Namespace(namespace).Patch(ctx, object.GetName(), types.ApplyPatchType, body, options)
	} else {
		_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, body, options)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
	}
	return nil
}

// CreateNamespace makes a namespace that is to have none but restricted Pods, as netpold's may.
func (c *Cluster) CreateNamespace(ctx context.Context, name string) {
	c.tb.Helper()
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := c.Client().CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		c.tb.Fatal(err)
	}
}

// ModuleDir returns the directory of a Go module that has resource definitions: as test/kube/crds requires it, or MODULE@VERSION.
func (c *Cluster) ModuleDir(ctx context.Context, module string) string {
	c.tb.Helper()
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	command.Dir = filepath.Join(repository(), "test", "kube", "crds")
	command.Env = append(os.Environ(), "GOWORK=off")
	output, err := command.Output()
	var downloaded struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(output, &downloaded)
	}
	if err != nil {
		c.tb.Fatalf("go mod download %s: %v\n%s", module, err, output)
	}
	return downloaded.Dir
}

// DefineMonitoring gives the API server the Prometheus Operator's resource definitions, and waits until they are served.
func (c *Cluster) DefineMonitoring(ctx context.Context) {
	c.tb.Helper()
	dir := c.ModuleDir(ctx, "github.com/prometheus-operator/prometheus-operator")
	for _, plural := range []string{"servicemonitors", "prometheusrules"} {
		file := filepath.Join(dir, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+plural+".yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			c.tb.Fatal(err)
		}
		definition := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &definition.Object); err != nil {
			c.tb.Fatalf("%s: %v", file, err)
		}
		if err := c.Applier().Apply(ctx, definition, false); err != nil {
			c.tb.Fatal(err)
		}
	}
	Eventually(c.tb, time.Minute, func(context.Context) error {
		found, err := discovery.NewDiscoveryClientForConfig(c.Admin())
		if err != nil {
			return err
		}
		list, err := found.ServerResourcesForGroupVersion("monitoring.coreos.com/v1")
		if err != nil {
			return err
		}
		var names []string
		for _, r := range list.APIResources {
			names = append(names, r.Name)
		}
		if served := strings.Join(names, " "); !strings.Contains(served, "servicemonitors") || !strings.Contains(served, "prometheusrules") {
			return fmt.Errorf("only %s are served", served)
		}
		return nil
	})
}
