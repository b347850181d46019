// Command cluster builds and supervises a real Kubernetes control plane on loopback: etcd, the API
// server, the scheduler, the controller manager, and kwok in place of the kubelets.
//
// Rempart's tests, demo and benchmarks run on it; README.md beside this file is its manual.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `usage: cluster COMMAND [FLAGS]

  build                                     compile what the cache lacks
  serve --dir DIR [--nodes N] [--apiservers 1|2] [--lifeline]
                                            run a control plane in the foreground
  up    --dir DIR [--nodes N] [--apiservers 1|2]
                                            run one in the background; prints its kubeconfig
  down  --dir DIR                           end it
  helm                                      compile Helm if the cache lacks it; prints where it is
  promtool                                  compile promtool if the cache lacks it; prints where it is
  kstatus                                   the same for a program around kstatus
  flux                                      the same for Flux's kustomize-controller and its kinds
  argocd                                    the same for Argo CD's controller and repository server, and its manifests
  credential --dir DIR --user NAME [--group GROUP]... [--apiserver I] [--out FILE]
                                            write a kubeconfig for a user of the cluster
  serviceaccount-kubeconfig --dir DIR -n NAMESPACE NAME [--apiserver I] [--out FILE]
                                            write a kubeconfig for a ServiceAccount

KUBERNETES_VERSION chooses the version; KUBEBUILDER_ASSETS names a folder with etcd,
kube-apiserver and kubectl to use in place of ours.
`

func main() {
	// A reader of our output that is gone is an error to act upon, not a signal to die from: there
	// are processes to end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case errors.Is(err, context.Canceled):
		say("interrupted")
		os.Exit(130)
	default:
		say("error: %v", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return flag.ErrHelp
	}
	command, arguments := arguments[0], arguments[1:]
	switch command {
	case "build":
		_, err := resolve(ctx)
		return err
	case "helm":
		return helmCommand(ctx)
	case "promtool":
		return toolCommand(ctx, promtoolModule)
	case "kstatus":
		return toolCommand(ctx, kstatusModule)
	case "flux":
		return fluxCommand(ctx)
	case "argocd":
		return argocdCommand(ctx)
	case "serve":
		return serveCommand(ctx, arguments)
	case "up":
		return upCommand(ctx, arguments)
	case "down":
		return downCommand(ctx, arguments)
	case "credential":
		return credentialCommand(arguments)
	case "serviceaccount-kubeconfig":
		return serviceAccountCommand(ctx, arguments)
	case "help", "-h", "--help":
		return flag.ErrHelp
	default:
		return fmt.Errorf("no command %q; run `cluster help` for the list", command)
	}
}

// say tells a person what is going on; standard output is kept for results.
func say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "control plane: "+format+"\n", values...)
}

// parse reads a command's flags and returns its operands, which may stand between the flags.
func parse(flags *flag.FlagSet, arguments []string) ([]string, error) {
	flags.SetOutput(os.Stderr)
	var operands []string
	for {
		if err := flags.Parse(arguments); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return operands, nil
		}
		operands = append(operands, flags.Arg(0))
		arguments = flags.Args()[1:]
	}
}

// refuseOperands is for the commands that take flags only.
func refuseOperands(flags *flag.FlagSet, operands []string) error {
	if len(operands) > 0 {
		return fmt.Errorf("%s takes no operand, but got %q; run `cluster help`", flags.Name(), strings.Join(operands, " "))
	}
	return nil
}
