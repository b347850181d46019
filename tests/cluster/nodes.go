package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"
)

// node is what we write and read of a v1 Node.
type node struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       struct {
		ProviderID string     `json:"providerID"`
		Taints     []struct{} `json:"taints,omitempty"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions,omitempty"`
	} `json:"status"`
}

type metadata struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// ensureNodes creates node-0 to node-(count-1) where they are missing and waits until pods can be
// scheduled onto them. kwok plays their kubelets.
func ensureNodes(ctx context.Context, c client, server string, count int) error {
	for i := range count {
		name := fmt.Sprintf("node-%d", i)
		wanted := node{APIVersion: "v1", Kind: "Node", Metadata: metadata{
			Name: name,
			Labels: map[string]string{
				"kubernetes.io/hostname": name,
				"kubernetes.io/os":       "linux",
				"kubernetes.io/arch":     runtime.GOARCH,
			},
		}}
		wanted.Spec.ProviderID = "kwok://" + name
		err := c.create(ctx, server+"/api/v1/nodes", wanted)
		if status := (statusError{}); errors.As(err, &status) && status.code == http.StatusConflict {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot create %s: %w", name, err)
		}
	}
	for i := range count {
		url := fmt.Sprintf("%s/api/v1/nodes/node-%d", server, i)
		err := poll(ctx, time.Minute, func(ctx context.Context) error {
			var found node
			if err := c.get(ctx, url, &found); err != nil {
				return err
			}
			return found.schedulable()
		})
		if err != nil {
			return fmt.Errorf("%s/api/v1/nodes/node-%d: %w", server, i, err)
		}
	}
	return nil
}

// schedulable waits also for the taint that every node has until the controller manager has seen it
// ready.
func (n node) schedulable() error {
	if len(n.Spec.Taints) > 0 {
		return errors.New("the node is still tainted as not ready")
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			return nil
		}
	}
	return errors.New("the node is not ready")
}

// poll repeats an attempt until it succeeds; after the patience it returns the last refusal.
func poll(ctx context.Context, patience time.Duration, attempt func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := attempt(limited)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			return fmt.Errorf("not within %s: %w", patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
