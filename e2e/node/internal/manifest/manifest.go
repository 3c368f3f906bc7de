// Package manifest reads Kubernetes objects from the files of a directory, in an order in which they can be applied,
// and notices which files changed since the last look.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Parse gives the objects of one YAML or JSON text, Lists taken apart: namespaces first, then definitions of new
// kinds, then the others as they stand.
func Parse(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for document := 1; ; document++ {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", document, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if object.IsList() {
			err = object.EachListItem(func(item runtime.Object) error {
				objects = append(objects, item.(*unstructured.Unstructured))
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("document %d: %w", document, err)
			}
			continue
		}
		objects = append(objects, object)
	}
	for _, object := range objects {
		if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" {
			return nil, fmt.Errorf("object %s %s %q lacks one of apiVersion, kind and metadata.name", object.GetAPIVersion(), object.GetKind(), object.GetName())
		}
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return objects, nil
}

func rank(object *unstructured.Unstructured) int {
	switch object.GetKind() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	default:
		return 2
	}
}

// Stamp tells two states of a file apart.
type Stamp struct {
	Size     int64
	Modified time.Time
}

// Directory remembers the state in which each file was last handed out.
type Directory struct {
	path    string
	applied map[string]Stamp
	seen    map[string]Stamp
}

// NewDirectory watches path, which need not exist yet.
func NewDirectory(path string) *Directory {
	return &Directory{path: path, applied: map[string]Stamp{}, seen: map[string]Stamp{}}
}

// Changed gives the manifest files, sorted by path, that are new or changed since they were marked as done. A file
// that changed since the last look is left for the next one: it may still be in the middle of being written.
func (d *Directory) Changed() ([]string, error) {
	now, err := scan(d.path)
	if err != nil {
		return nil, err
	}
	var changed []string
	for path, stamp := range now {
		if d.seen[path] == stamp && d.applied[path] != stamp {
			changed = append(changed, path)
		}
	}
	d.seen = now
	sort.Strings(changed)
	return changed, nil
}

// Done marks the state of path that the last look saw as applied.
func (d *Directory) Done(path string) { d.applied[path] = d.seen[path] }

func scan(dir string) (map[string]Stamp, error) {
	found := map[string]Stamp{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			return nil
		}
		info, err := os.Stat(path) // follows links: a mounted directory may consist of them
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		found[path] = Stamp{Size: info.Size(), Modified: info.ModTime()}
		return nil
	})
	return found, err
}
