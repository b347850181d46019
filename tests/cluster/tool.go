package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// toolCommand prints where a program is that is no part of a control plane, and builds it if it is nowhere.
func toolCommand(ctx context.Context, of func(root string) module) error {
	root, err := modulesRoot()
	if err != nil {
		return err
	}
	m := of(root)
	folders, err := buildMissing(ctx, []module{m})
	if err != nil {
		return err
	}
	_, err = fmt.Println(filepath.Join(folders[m.name], m.programs[0].name))
	return err
}
