package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strings"
)

// credentialCommand writes a kubeconfig for any user: a kubelet, a tenant, a scheduler of a test.
func credentialCommand(arguments []string) error {
	flags := flag.NewFlagSet("credential", flag.ContinueOnError)
	dir := dirFlag(flags)
	target := targetFlags(flags)
	user := flags.String("user", "", "name of the user")
	var groups []string
	flags.Func("group", "a group of the user; may be repeated", func(group string) error {
		groups = append(groups, group)
		return nil
	})
	operands, err := parse(flags, arguments)
	if err != nil {
		return err
	}
	if err := refuseOperands(flags, operands); err != nil {
		return err
	}
	l, err := dir()
	if err != nil {
		return err
	}
	if *user == "" {
		return errors.New("credential needs --user, for example --user system:node:node-0 --group system:nodes")
	}
	found, err := l.describe()
	if err != nil {
		return err
	}
	server, path, err := target.resolve(l, found, *user)
	if err != nil {
		return err
	}
	ca, err := loadAuthority(l)
	if err != nil {
		return err
	}
	if err := ca.writeUser(path, server, *user, groups...); err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

// serviceAccountCommand writes a kubeconfig with a token of the ServiceAccount.
func serviceAccountCommand(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("serviceaccount-kubeconfig", flag.ContinueOnError)
	dir := dirFlag(flags)
	target := targetFlags(flags)
	namespace := flags.String("n", "default", "namespace of the ServiceAccount")
	operands, err := parse(flags, arguments)
	if err != nil {
		return err
	}
	if len(operands) != 1 {
		return errors.New("serviceaccount-kubeconfig needs the name of one ServiceAccount")
	}
	account := operands[0]
	l, err := dir()
	if err != nil {
		return err
	}
	found, err := l.describe()
	if err != nil {
		return err
	}
	user := fmt.Sprintf("system:serviceaccount:%s:%s", *namespace, account)
	server, path, err := target.resolve(l, found, user)
	if err != nil {
		return err
	}
	ca, err := loadAuthority(l)
	if err != nil {
		return err
	}
	token, err := createToken(ctx, found, *namespace, account)
	if err != nil {
		return err
	}
	if err := (kubeconfig{server: server, ca: ca.pem, user: user, token: token}).write(path); err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

func createToken(ctx context.Context, cluster description, namespace, account string) (string, error) {
	var token, complaint bytes.Buffer
	kubectl := exec.CommandContext(ctx, cluster.Kubectl, "--kubeconfig", cluster.Kubeconfig,
		"create", "token", account, "--namespace", namespace, "--duration", "24h")
	kubectl.Stdout, kubectl.Stderr = &token, &complaint
	if err := kubectl.Run(); err != nil {
		return "", fmt.Errorf("no token for ServiceAccount %s in namespace %s: %s", account, namespace, strings.TrimSpace(complaint.String()+" "+err.Error()))
	}
	return strings.TrimSpace(token.String()), nil
}

// target is where a credential leads and where it is kept.
type target struct {
	apiserver int
	out       string
}

func targetFlags(flags *flag.FlagSet) *target {
	t := &target{}
	flags.IntVar(&t.apiserver, "apiserver", 0, "index of the API server to speak to")
	flags.StringVar(&t.out, "out", "", "file to write (default: named after the user, in the control plane's folder)")
	return t
}

func (t target) resolve(l layout, cluster description, user string) (server, path string, err error) {
	if t.apiserver < 0 || t.apiserver >= len(cluster.Servers) {
		return "", "", fmt.Errorf("there is no API server %d; the control plane has %d, counted from 0", t.apiserver, len(cluster.Servers))
	}
	path = t.out
	if path == "" {
		path = l.kubeconfigOf(numbered(fileName(user), t.apiserver))
	}
	return cluster.Servers[t.apiserver], path, nil
}

// fileName keeps a user's name recognisable: system:node:a becomes system-node-a.
func fileName(user string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		default:
			return '-'
		}
	}, user)
}
