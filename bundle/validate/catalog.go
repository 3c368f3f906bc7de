package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// placeholder stands for the reference of the bundle's image where opm renders a folder.
const placeholder = "image-of-the-bundle"

// compareFiles holds a catalog against what opm renders of one of its bundles.
func compareFiles(catalog, rendered string) error {
	said, err := os.ReadFile(catalog)
	if err != nil {
		return fmt.Errorf("failed to read the catalog: %w", err)
	}
	wanted, err := os.ReadFile(rendered)
	if err != nil {
		return fmt.Errorf("failed to read what opm rendered: %w", err)
	}
	if err := compare(said, wanted); err != nil {
		return err
	}
	fmt.Println("the catalog says of the bundle what opm renders of it")
	return nil
}

// compare tells where a catalog says something else of a bundle than opm does.
func compare(catalog, rendered []byte) error {
	all, err := documents(catalog)
	if err != nil {
		return fmt.Errorf("failed to parse the catalog: %w", err)
	}
	found, err := documents(rendered)
	if err != nil {
		return fmt.Errorf("failed to parse what opm rendered: %w", err)
	}
	if len(found) != 1 {
		return fmt.Errorf("opm rendered %d documents, not one", len(found))
	}
	name := found[0]["name"]
	index := slices.IndexFunc(all, func(document map[string]any) bool {
		return document["schema"] == "olm.bundle" && document["name"] == name
	})
	if index < 0 {
		return fmt.Errorf("the catalog has no olm.bundle %v", name)
	}
	said := all[index]
	image, err := json.Marshal(said["image"])
	if err != nil {
		return err
	}
	wanted, err := documents(bytes.ReplaceAll(rendered, []byte(`"`+placeholder+`"`), image))
	if err != nil {
		return err
	}
	var problems []error
	for key := range keys(said, wanted[0]) {
		// The order of properties and of images has no meaning.
		if !reflect.DeepEqual(ordered(said[key]), ordered(wanted[0][key])) {
			problems = append(problems, fmt.Errorf("%v: %s differs from what opm renders", name, key))
		}
	}
	return errors.Join(problems...)
}

func keys(maps ...map[string]any) map[string]bool {
	all := make(map[string]bool)
	for _, one := range maps {
		for key := range one {
			all[key] = true
		}
	}
	return all
}

func ordered(value any) any {
	list, ok := value.([]any)
	if !ok {
		return value
	}
	texts := make([]string, 0, len(list))
	for _, one := range list {
		texts = append(texts, fmt.Sprint(one))
	}
	slices.Sort(texts)
	return texts
}

// documents are those of YAML or of JSON.
func documents(text []byte) ([]map[string]any, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)+1)
	var all []map[string]any
	for {
		var document map[string]any
		if err := decoder.Decode(&document); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, document)
	}
}
