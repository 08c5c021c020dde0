// Argo CD's application controller and its repo server in one program, without
// its API server, command line and the rest.
package main

import (
	"os"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	askpass "github.com/argoproj/argo-cd/v3/cmd/argocd-git-ask-pass/commands"
	repository "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

func main() {
	programs := map[string]func() *cobra.Command{
		"argocd-application-controller": controller.NewCommand,
		"argocd-repo-server":            repository.NewCommand,
		"argocd-git-ask-pass":           askpass.NewCommand,
	}
	command, known := programs[os.Getenv("ARGOCD_BINARY_NAME")]
	if !known {
		os.Exit(2)
	}
	if command().Execute() != nil {
		os.Exit(1)
	}
}
