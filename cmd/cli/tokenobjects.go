package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/live"
)

// An object holds the fields of an object, or of a list, that a token needs.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Namespace       string `yaml:"namespace"`
		Name            string `yaml:"name"`
		ResourceVersion string `yaml:"resourceVersion"`
	} `yaml:"metadata"`
	Items []object `yaml:"items"`
}

// tokenOfObjects returns the token of all objects in a text. The error joins all errors in them.
func tokenOfObjects(text []byte) (string, error) {
	objects, err := parseObjects(text)
	if err != nil {
		return "", err
	}
	var tokens []string
	var errs []error
	for i := range objects {
		token, err := objects[i].token()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		tokens = append(tokens, token)
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	if len(tokens) == 0 {
		return "", errors.New("there is no object in it: give what 'kubectl apply -o yaml' printed")
	}
	return live.MergeTokens(tokens...)
}

// parseObjects returns the objects of all documents, including those in lists.
func parseObjects(text []byte) ([]object, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var objects []object
	for n := 1; ; n++ {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("document %d: neither YAML nor JSON: %s; %s", n, oneLine(err, "yaml: "),
				wantObjects)
		}
		root := document.Content[0]
		if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
			continue
		}
		var o object
		if root.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("document %d: not an object: %s", n, wantObjects)
		}
		if err := root.Decode(&o); err != nil {
			return nil, fmt.Errorf("document %d: not an object: %s; %s", n, oneLine(err, "yaml: "), wantObjects)
		}
		objects = append(objects, o.all()...)
	}
}

const wantObjects = "give what 'kubectl apply -o yaml' printed"

// oneLine returns the text of an error on one line, without a prefix.
func oneLine(err error, prefix string) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), prefix)), " ")
}

// all returns the objects of a list, or the object itself.
func (o *object) all() []object {
	of, isList := strings.CutSuffix(o.Kind, "List")
	if !isList {
		return []object{*o}
	}
	var objects []object
	for i := range o.Items {
		item := &o.Items[i]
		if item.Kind == "" && of != "" { // the API prints no kind for the items of a PodList
			item.Kind, item.APIVersion = of, o.APIVersion
		}
		objects = append(objects, item.all()...)
	}
	return objects
}

// token returns the token of the object.
func (o *object) token() (string, error) {
	resource := o.resource()
	if resource == "" {
		return "", fmt.Errorf("%s plays no part in decisions: leave it out, and give only Pods, Namespaces, "+
			"NetworkPolicies (networking.k8s.io), Nodes, Services and EndpointSlices (discovery.k8s.io)", o)
	}
	version := o.Metadata.ResourceVersion
	if version == "" {
		return "", fmt.Errorf("%s has no metadata.resourceVersion: give it as the API server returned it, which "+
			"'kubectl apply -o yaml' and 'kubectl get -o yaml' print", o)
	}
	token, err := live.TokenFor(resource, version)
	if err != nil {
		return "", fmt.Errorf("%s: %w", o, err)
	}
	return token, nil
}

// resource returns the resource of the object's kind; empty for kinds that decisions do not depend on.
func (o *object) resource() string {
	group := ""
	if before, _, ok := strings.Cut(o.APIVersion, "/"); ok {
		group = before
	}
	for _, k := range convert.Kinds() {
		if k.Name == o.Kind && k.Group() == group {
			return k.Resource
		}
	}
	return ""
}

// String returns the object in words. Example: NetworkPolicy "shop/web" of networking.k8s.io/v1.
func (o *object) String() string {
	name := o.Metadata.Name
	if o.Metadata.Namespace != "" {
		name = o.Metadata.Namespace + "/" + name
	}
	kind := o.Kind
	if kind == "" {
		kind = "an object without a kind"
	}
	text := fmt.Sprintf("%s %q", kind, name)
	if o.APIVersion != "" {
		text += " of " + o.APIVersion
	}
	return text
}
