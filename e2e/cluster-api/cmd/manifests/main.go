// Writes the manifests of Cluster API's controllers to the standard output.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/finos/5spot-rs/e2e/cluster-api/internal/components"
)

func main() {
	module := flag.String("module", "", "folder of the module sigs.k8s.io/cluster-api")
	image := flag.String("image", "", "image that has the controllers")
	flag.Parse()
	if *module == "" || *image == "" {
		fmt.Fprintln(os.Stderr, "manifests: -module and -image are required")
		os.Exit(2)
	}
	for _, component := range components.All {
		text, err := component.Render(*module, *image, time.Now())
		if err != nil {
			fmt.Fprintln(os.Stderr, "manifests:", err)
			os.Exit(1)
		}
		if _, err := os.Stdout.Write(text); err != nil {
			fmt.Fprintln(os.Stderr, "manifests: write:", err)
			os.Exit(1)
		}
	}
}
