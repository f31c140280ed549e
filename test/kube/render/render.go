// Package render turns what deploy/ ships into objects, as kubectl and helm do, without either and without a network.
package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Notes is the name under which Helm renders what it tells after an installation.
const Notes = "NOTES.txt"

// Kustomize renders a folder with a kustomization.
func Kustomize(dir string) ([]*unstructured.Unstructured, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", dir, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", dir, err)
	}
	return objects(text)
}

// KustomizeWith renders a folder of root with a component, which is another one, as an overlay does.
func KustomizeWith(root, folder, component string) (list []*unstructured.Unstructured, err error) {
	dir, err := os.MkdirTemp("", "overlay")
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	from, err := filepath.Rel(dir, root)
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	text := fmt.Sprintf("resources: [%s]\ncomponents: [%s]\n", filepath.Join(from, folder), filepath.Join(from, component))
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return Kustomize(dir)
}

// HelmFiles renders a chart as a release called netpold in a namespace, with values over its own. The text of each file is
// under its name in the chart, comments included.
func HelmFiles(dir, namespace string, values map[string]any) (map[string]string, error) {
	chart, err := loader.LoadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("helm %s: %w", dir, err)
	}
	release := common.ReleaseOptions{Name: "netpold", Namespace: namespace, Revision: 1, IsInstall: true}
	merged, err := util.ToRenderValues(chart, values, release, common.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("helm %s: %w", dir, err)
	}
	rendered, err := engine.Engine{Strict: true}.RenderWithContext(context.Background(), chart, merged)
	if err != nil {
		return nil, fmt.Errorf("helm %s: %w", dir, err)
	}
	files := make(map[string]string, len(rendered))
	for name, text := range rendered {
		files[strings.TrimPrefix(name, chart.Name()+"/")] = text
	}
	return files, nil
}

// Helm renders a chart as [HelmFiles] does, and reads the objects. notes is what the chart tells the user.
func Helm(dir, namespace string, values map[string]any) (list []*unstructured.Unstructured, notes string, err error) {
	files, err := HelmFiles(dir, namespace, values)
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Base(name) == Notes {
			notes = files[name]
			continue
		}
		parsed, err := objects([]byte(files[name]))
		if err != nil {
			return nil, "", fmt.Errorf("helm %s: %s: %w\n%s", dir, name, err, files[name])
		}
		list = append(list, parsed...)
	}
	return list, notes, nil
}

// objects reads documents of YAML; empty ones are none.
func objects(text []byte) ([]*unstructured.Unstructured, error) {
	var list []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var content map[string]any
		if err := documents.Decode(&content); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("YAML: %w", err)
		}
		if len(content) > 0 {
			list = append(list, &unstructured.Unstructured{Object: content})
		}
	}
	slices.SortFunc(list, func(a, b *unstructured.Unstructured) int { return strings.Compare(Key(a), Key(b)) })
	return list, nil
}

// Key names an object.
func Key(object *unstructured.Unstructured) string {
	return object.GetAPIVersion() + " " + object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}
