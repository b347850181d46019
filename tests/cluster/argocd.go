package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// argocdTools are what the tests of Argo CD need beside a control plane.
type argocdTools struct {
	// Program is its controller and its repository server.
	Program string `json:"program"`
	// Manifests is the folder with its kinds and its settings, as they are installed.
	Manifests string `json:"manifests"`
}

// argocdCommand prints where Argo CD is, and builds it if it is nowhere.
func argocdCommand(ctx context.Context) error {
	program, err := compiled(ctx, argocdModule)
	if err != nil {
		return err
	}
	release, err := released(ctx, "argocd", "github.com/argoproj/argo-cd/v3")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(argocdTools{Program: program, Manifests: filepath.Join(release, "manifests")})
}
