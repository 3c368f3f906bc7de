// chart writes the objects of OLM, out of the Helm chart in OLM's own module, as a stream of YAML documents.
//
// Every image is named by the caller, by digest, so that nothing is pulled. Left out are the catalog of the public
// community operators, which would be pulled, and the package server, which lists packages for people: no subscription
// needs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// The template of the package server's ClusterServiceVersion.
const packageServer = "packageserver.clusterserviceversion.yaml"

// What may be asked for.
type request struct {
	folder      string
	olm         string
	opm         string
	namespace   string
	definitions bool
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	asked, err := parse(arguments)
	if err != nil {
		return err
	}
	source, err := loader.Load(asked.folder)
	if err != nil {
		return fmt.Errorf("failed to read the chart %s: %w", asked.folder, err)
	}
	if asked.definitions {
		return write(out, definitions(source))
	}
	documents, err := objects(source, asked)
	if err != nil {
		return err
	}
	return write(out, documents)
}

func parse(arguments []string) (request, error) {
	var asked request
	flags := flag.NewFlagSet("chart", flag.ContinueOnError)
	flags.StringVar(&asked.folder, "chart", "", "folder of the chart")
	flags.StringVar(&asked.namespace, "namespace", "olm", "namespace of OLM")
	flags.StringVar(&asked.olm, "olm", "", "image of OLM, by digest")
	flags.StringVar(&asked.opm, "opm", "", "image of opm, by digest")
	flags.BoolVar(&asked.definitions, "definitions", false, "write the definitions of OLM's kinds, and nothing else")
	if err := flags.Parse(arguments); err != nil {
		return asked, err
	}
	if asked.folder == "" {
		return asked, errors.New("-chart must name a folder")
	}
	if asked.definitions {
		return asked, nil
	}
	for name, image := range map[string]string{"olm": asked.olm, "opm": asked.opm} {
		if !strings.Contains(image, "@sha256:") {
			return asked, fmt.Errorf("-%s=%s must name an image by digest: OLM pulls what is named by tag", name, image)
		}
	}
	return asked, nil
}

// The definitions of OLM's kinds, in the order of their names.
func definitions(source *chart.Chart) []string {
	var documents []string
	for _, definition := range source.CRDObjects() {
		documents = append(documents, string(definition.File.Data))
	}
	return documents
}

// Everything else, in the order of the templates' names, which begin with numbers.
func objects(source *chart.Chart, asked request) ([]string, error) {
	count := len(source.Templates)
	source.Templates = slices.DeleteFunc(source.Templates, func(file *chart.File) bool {
		name := path.Base(file.Name)
		return strings.HasSuffix(name, packageServer) && !strings.HasPrefix(name, "_")
	})
	if len(source.Templates) != count-1 {
		return nil, fmt.Errorf("the chart %s must have one template *%s", asked.folder, packageServer)
	}
	values, err := chartutil.ToRenderValues(source, settings(asked), chartutil.ReleaseOptions{
		Name: "olm", Namespace: asked.namespace, Revision: 1, IsInstall: true,
	}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("failed to set the values of the chart %s: %w", asked.folder, err)
	}
	rendered, err := engine.Render(source, values)
	if err != nil {
		return nil, fmt.Errorf("failed to render the chart %s: %w", asked.folder, err)
	}
	var documents []string
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(rendered[name]) != "" {
			documents = append(documents, rendered[name])
		}
	}
	return documents, nil
}

func settings(asked request) chartutil.Values {
	image := map[string]any{"ref": asked.olm, "pullPolicy": "IfNotPresent"}
	return chartutil.Values{
		"namespace":         asked.namespace,
		"catalog_namespace": asked.namespace,
		// Anything but "upstream" leaves out the catalog of the community operators.
		"installType": "none",
		"olm":         map[string]any{"image": image},
		"package":     map[string]any{"image": image},
		"catalog": map[string]any{
			"image":        image,
			"commandArgs":  "--configmapServerImage=" + asked.opm,
			"opmImageArgs": "--opmImage=" + asked.opm,
		},
	}
}

func write(out io.Writer, documents []string) error {
	for _, document := range documents {
		if _, err := fmt.Fprintf(out, "---\n%s\n", strings.TrimSpace(document)); err != nil {
			return fmt.Errorf("failed to write: %w", err)
		}
	}
	return nil
}
