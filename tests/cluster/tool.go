package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// toolCommand prints where a program is that is no part of a control plane, and builds it if it is nowhere.
func toolCommand(ctx context.Context, of func(root string) module) error {
	program, err := compiled(ctx, of)
	if err != nil {
		return err
	}
	_, err = fmt.Println(program)
	return err
}

// compiled is where the program of a module is, which is built if the cache lacks it.
func compiled(ctx context.Context, of func(root string) module) (string, error) {
	root, err := modulesRoot()
	if err != nil {
		return "", err
	}
	m := of(root)
	folders, err := buildMissing(ctx, []module{m})
	if err != nil {
		return "", err
	}
	return filepath.Join(folders[m.name], m.programs[0].name), nil
}

// released is the folder of a dependency in Go's own module cache, fetched if it lacks it; the go.mod in
// modules/<name> says which release of it. Nothing of it is compiled.
func released(ctx context.Context, name, dependency string) (string, error) {
	root, err := modulesRoot()
	if err != nil {
		return "", err
	}
	m := module{name: name, dir: filepath.Join(root, name)}
	output, err := m.goTool(ctx, "mod", "download", "-json", dependency)
	if err != nil {
		return "", fmt.Errorf("cannot fetch %s: %w", dependency, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal([]byte(output), &downloaded); err != nil {
		return "", err
	}
	return downloaded.Dir, nil
}
