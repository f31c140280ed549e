package main

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netpold/netpold/test/kube/render"
)

// namespace is where the bases put netpold; an overlay may say another.
const namespace = "netpold"

// generated is the first line of each derived file.
const generated = "# Generated from deploy/helm/netpold by \"make generate\": change it there.\n"

// base is one folder of kustomize: the templates of the chart that it holds, and its kustomization.
type base struct {
	templates     []string
	kustomization string
}

// bases returns the folders below deploy/kustomize.
func bases() map[string]base {
	return map[string]base{
		"base": {
			templates: []string{"access", "deployment", "services", "availability", "networkpolicy"},
			kustomization: `# netpold in the namespace netpold, which must exist. In an overlay of your own, name the image that you built:
#
#   resources: ["github.com/netpold/netpold/deploy/kustomize/base?ref=v1.2.3"]
#   images: [{name: netpold, newName: REGISTRY/netpold, newTag: v1.2.3}]
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: ` + namespace + `
resources:
`,
		},
		"monitoring": {
			templates: []string{"servicemonitor", "rules", "dashboard"},
			kustomization: `# The base, watched by Prometheus (which needs its Operator) and shown by Grafana (with its sidecar for dashboards).
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: ` + namespace + `
resources:
  - ../base
`,
		},
	}
}

// kustomize renders the chart with all that is optional, and returns the files of the bases by their path in the repository.
func kustomize(chart string) (map[string]string, error) {
	on := map[string]any{"enabled": true}
	values := map[string]any{"monitoring": map[string]any{"serviceMonitor": on, "rules": on, "dashboard": on}}
	rendered, err := render.HelmFiles(chart, namespace, values)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	taken := []string{path.Join("templates", render.Notes), "templates/_helpers.tpl", "templates/_probes.tpl"}
	for folder, b := range bases() {
		dir := filepath.Join("deploy", "kustomize", folder)
		list := b.kustomization
		for _, template := range b.templates {
			name := "templates/" + template + ".yaml"
			text, ok := rendered[name]
			if !ok {
				return nil, fmt.Errorf("the chart has no %s", name)
			}
			taken = append(taken, name)
			files[filepath.Join(dir, template+".yaml")] = generated + withoutHelm(text)
			list += "  - " + template + ".yaml\n"
		}
		files[filepath.Join(dir, "kustomization.yaml")] = generated + list
	}
	for name, text := range rendered {
		if !slices.Contains(taken, name) && strings.TrimSpace(text) != "" {
			return nil, fmt.Errorf("%s is in no base of kustomize: add it to one of them", name)
		}
	}
	return files, nil
}

// withoutHelm drops the labels that say that Helm manages an object, and empty lines at the ends.
func withoutHelm(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if key == "helm.sh/chart" || key == "app.kubernetes.io/managed-by" {
			continue
		}
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}
