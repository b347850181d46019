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
	root, err := modulesRoot()
	if err != nil {
		return err
	}
	m := argocdModule(root)
	folders, err := buildMissing(ctx, []module{m})
	if err != nil {
		return err
	}
	release, err := released(ctx, m.dir, "github.com/argoproj/argo-cd/v3")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(argocdTools{
		Program:   filepath.Join(folders[m.name], m.programs[0].name),
		Manifests: filepath.Join(release, "manifests"),
	})
}
