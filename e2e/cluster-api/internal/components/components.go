// Package components renders the manifests of Cluster API's controllers from their own configuration, for a cluster that
// has no cert-manager and can pull no image.
package components

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"

	"github.com/drone/envsubst/v2"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Component is one of the controllers.
type Component struct {
	// Config is where its kustomization is, below the folder of Cluster API's module.
	Config string
	// Command is where its binary is in the image.
	Command string
}

// All of them that the tests run.
var All = []Component{
	{Config: "config/default", Command: "/cluster-api"},
	{Config: "bootstrap/kubeadm/config/default", Command: "/kubeadm"},
}

// object is a manifest as it is decoded.
type object = map[string]any

// Render gives the manifests of a component, its containers from the given image. The certificates of its webhooks are
// issued here, by an authority that nobody keeps the key of, and are valid for a year from now.
func (c Component) Render(module, image string, now time.Time) ([]byte, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).
		Run(filesys.MakeFsOnDisk(), filepath.Join(module, c.Config))
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", c.Config, err)
	}
	objects, err := decode(built)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Config, err)
	}
	objects, err = certify(objects, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Config, err)
	}
	var out bytes.Buffer
	for _, o := range objects {
		if o["kind"] == "Deployment" {
			if err := c.localise(o, image); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Config, err)
			}
		}
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes(), nil
}

// decode fills in the defaults of the variables in the texts, which clusterctl would do on a user's machine.
func decode(built resmap.ResMap) ([]object, error) {
	var objects []object
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		filled := string(text)
		// The texts of definitions and configurations have dollars that are no variables.
		if resource.GetKind() == "Deployment" {
			if filled, err = envsubst.Eval(filled, func(string) string { return "" }); err != nil {
				return nil, fmt.Errorf("variables of %s: %w", resource.CurId(), err)
			}
		}
		var o object
		if err := yaml.Unmarshal([]byte(filled), &o); err != nil {
			return nil, fmt.Errorf("decode %s: %w", resource.CurId(), err)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// localise has a Deployment's containers run our image, which is on the nodes already.
func (c Component) localise(deployment object, image string) error {
	containers, err := list(deployment, "spec", "template", "spec", "containers")
	if err != nil {
		return err
	}
	for _, container := range containers {
		container["image"] = image
		container["imagePullPolicy"] = "Never"
		container["command"] = []any{c.Command}
	}
	return nil
}

// list gives the objects in the list at a path.
func list(o object, path ...string) ([]object, error) {
	var at any = o
	for _, key := range path {
		fields, ok := at.(object)
		if !ok {
			return nil, fmt.Errorf("%v %v has nothing at %v", o["kind"], name(o), path)
		}
		at = fields[key]
	}
	items, _ := at.([]any)
	var found []object
	for _, item := range items {
		fields, ok := item.(object)
		if !ok {
			return nil, fmt.Errorf("%v %v has no objects at %v", o["kind"], name(o), path)
		}
		found = append(found, fields)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%v %v has nothing at %v", o["kind"], name(o), path)
	}
	return found, nil
}

func name(o object) string {
	metadata, _ := o["metadata"].(object)
	name, _ := metadata["name"].(string)
	return name
}
