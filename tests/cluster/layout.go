package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// layout names the files of one control plane's folder.
type layout struct{ dir string }

func (l layout) kubeconfig() string { return filepath.Join(l.dir, "kubeconfig") }
func (l layout) kubeconfigOf(who string) string {
	return filepath.Join(l.dir, who+".kubeconfig")
}
func (l layout) pki(name string) string      { return filepath.Join(l.dir, "pki", name) }
func (l layout) manifest(name string) string { return filepath.Join(l.dir, "manifests", name) }
func (l layout) log(component string) string { return filepath.Join(l.dir, "logs", component+".log") }
func (l layout) etcd() string                { return filepath.Join(l.dir, "etcd") }
func (l layout) audit(apiserver int) string {
	return filepath.Join(l.dir, numbered("audit", apiserver)+".log")
}

// lock is the file whose lock the supervisor holds for as long as it lives.
func (l layout) lock() string          { return filepath.Join(l.dir, "supervisor.pid") }
func (l layout) supervisorLog() string { return filepath.Join(l.dir, "supervisor.log") }
func (l layout) description() string   { return filepath.Join(l.dir, "cluster.json") }

// numbered gives the first of several API servers the plain name, and the second one "name-1".
func numbered(name string, index int) string {
	if index == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, index)
}

// clear removes what an earlier control plane left, and nothing else: the folder may hold files of
// others, such as the operator's log.
func (l layout) clear() error {
	leftovers := []string{"etcd", "pki", "logs", "manifests", "kwok", "cluster.json"}
	for _, pattern := range []string{"kubeconfig", "*.kubeconfig", "audit*.log"} {
		matches, err := filepath.Glob(filepath.Join(l.dir, pattern))
		if err != nil {
			return err
		}
		for _, match := range matches {
			leftovers = append(leftovers, filepath.Base(match))
		}
	}
	for _, name := range leftovers {
		if err := os.RemoveAll(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"pki", "logs", "manifests", "kwok"} {
		if err := os.MkdirAll(filepath.Join(l.dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// dirFlag declares --dir and returns how to read it once the flags are parsed.
func dirFlag(flags *flag.FlagSet) func() (layout, error) {
	dir := flags.String("dir", "", "folder of the control plane")
	return func() (layout, error) {
		if *dir == "" {
			return layout{}, fmt.Errorf("%s needs --dir, the folder of the control plane", flags.Name())
		}
		absolute, err := filepath.Abs(*dir)
		return layout{dir: absolute}, err
	}
}

// description is what a ready control plane tells about itself, on standard output and in
// cluster.json.
type description struct {
	// Kubeconfig is the administrator's.
	Kubeconfig string   `json:"kubeconfig"`
	Server     string   `json:"server"`
	Servers    []string `json:"servers"`
	// Etcd is where the history is, for who wants all of it.
	Etcd       string `json:"etcd"`
	Dir        string `json:"dir"`
	Kubectl    string `json:"kubectl"`
	Kubernetes string `json:"kubernetes"`
	// Supervisor is the process that owns all others.
	Supervisor    int   `json:"supervisor"`
	StartupMillis int64 `json:"startupMillis"`
}

// describe reads cluster.json of a control plane that is up.
func (l layout) describe() (description, error) {
	var found description
	content, err := os.ReadFile(l.description())
	if errors.Is(err, os.ErrNotExist) {
		return found, fmt.Errorf("no control plane is up in %s; start one with `cluster up --dir %s`", l.dir, l.dir)
	}
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(content, &found); err != nil {
		return found, fmt.Errorf("%s is damaged; run `cluster down` and `cluster up`: %w", l.description(), err)
	}
	return found, nil
}

// publish writes cluster.json in one step, so that nobody reads half of it.
func (l layout) publish(d description) error {
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(l.description(), append(content, '\n'))
}

// writeWhole replaces a private file in one step. Several processes may write the same one at once.
func writeWhole(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}
