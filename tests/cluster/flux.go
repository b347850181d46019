package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// fluxTools are what the tests of Flux need beside a control plane.
type fluxTools struct {
	// Controller is kustomize-controller, which applies what is in Git.
	Controller string `json:"controller"`
	// CRDs are folders with its kinds, and with those that say where Git is.
	CRDs []string `json:"crds"`
}

// fluxCommand prints where Flux is, and builds it if it is nowhere.
func fluxCommand(ctx context.Context) error {
	controller, err := compiled(ctx, fluxModule)
	if err != nil {
		return err
	}
	tools := fluxTools{Controller: controller}
	for _, of := range []struct{ name, dependency string }{
		{"flux", "github.com/fluxcd/kustomize-controller"},
		{"flux-sources", "github.com/fluxcd/source-controller"},
	} {
		release, err := released(ctx, of.name, of.dependency)
		if err != nil {
			return err
		}
		tools.CRDs = append(tools.CRDs, filepath.Join(release, "config", "crd", "bases"))
	}
	return json.NewEncoder(os.Stdout).Encode(tools)
}
