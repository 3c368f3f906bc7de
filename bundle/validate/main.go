// Validate holds a bundle against the validators of operator-framework/api that are listed below, and fails on errors and on
// warnings. A finding that is not ours to mend is named in exceptions.json with the reason; one that is named and does not
// occur fails as well, so that the list stays true. And it holds the catalog against what opm renders of a bundle.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

// exception is a finding that is accepted.
type exception struct {
	// Text is a part of the finding.
	Text string `json:"text"`
	// Why says why it is accepted.
	Why string `json:"why"`
}

// validators are all but those of package manifests and of OperatorGroups, which are no part of a bundle, of the community,
// which is deprecated, and of several architectures, which pulls the images.
var validators = map[string]interfaces.Validator{
	"bundle":          validation.BundleValidator,
	"capabilities":    validation.StandardCapabilitiesValidator,
	"categories":      validation.StandardCategoriesValidator,
	"csv":             validation.ClusterServiceVersionValidator,
	"crd":             validation.CustomResourceDefinitionValidator,
	"deprecated-apis": validation.AlphaDeprecatedAPIsValidator,
	"good-practices":  validation.GoodPracticesValidator,
	"operatorhub":     validation.OperatorHubV2Validator,
	"objects":         validation.ObjectValidator,
}

func main() {
	commands := map[string]func(string, string) error{"bundle": run, "catalog": compareFiles}
	if len(os.Args) != 4 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: validate bundle BUNDLE EXCEPTIONS | validate catalog CATALOG RENDERED")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "validate:", err)
		os.Exit(1)
	}
}

func run(folder, exceptions string) error {
	accepted, err := read(exceptions)
	if err != nil {
		return err
	}
	bundle, err := manifests.GetBundleFromDir(folder)
	if err != nil {
		return fmt.Errorf("failed to read the bundle: %w", err)
	}
	findings := findings(bundle)
	return judge(findings, accepted)
}

func read(path string) ([]exception, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read the exceptions: %w", err)
	}
	var accepted []exception
	if err := json.Unmarshal(text, &accepted); err != nil {
		return nil, fmt.Errorf("failed to parse %s: %w", path, err)
	}
	for _, one := range accepted {
		if one.Text == "" || one.Why == "" {
			return nil, fmt.Errorf("%s: every exception needs text and why", path)
		}
	}
	return accepted, nil
}

// findings are all errors and warnings of all validators.
func findings(bundle *manifests.Bundle) []string {
	objects := bundle.ObjectsToValidate()
	for _, object := range bundle.Objects {
		objects = append(objects, object)
	}
	var lines []string
	for name, validator := range validators {
		for _, result := range validator.Validate(objects...) {
			for _, found := range append(result.Errors, result.Warnings...) {
				lines = append(lines, fmt.Sprintf("%s: %s", name, found.Error()))
			}
		}
	}
	return lines
}

// judge tells what is not accepted, and what is accepted and was not found.
func judge(findings []string, accepted []exception) error {
	var problems []string
	seen := make(map[string]bool)
	for _, line := range findings {
		isAccepted := false
		for _, one := range accepted {
			if strings.Contains(line, one.Text) {
				fmt.Printf("accepted: %s (%s)\n", line, one.Why)
				seen[one.Text], isAccepted = true, true
			}
		}
		if !isAccepted {
			problems = append(problems, line)
		}
	}
	for _, one := range accepted {
		if !seen[one.Text] {
			problems = append(problems, fmt.Sprintf("exception %q does not occur any more", one.Text))
		}
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	fmt.Printf("%d validators, nothing found that is not accepted\n", len(validators))
	return nil
}
