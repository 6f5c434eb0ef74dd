package main

import (
	"fmt"
	"strings"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

var controllers = []string{
	"garbage-collector-controller",
	"namespace-controller",
	"serviceaccount-controller",
	"root-ca-certificate-publisher-controller",
	"horizontal-pod-autoscaler-controller",
	"clusterrole-aggregation-controller", // fills the roles view, edit and admin
}

// runControllers returns only if they cannot be started.
func runControllers(kubeconfig string) error {
	cmd := app.NewControllerManagerCommand()
	cmd.SetArgs([]string{
		"--kubeconfig=" + kubeconfig, "--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false", "--secure-port=0", "--authentication-skip-lookup=true",
		"--use-service-account-credentials=false",
	})
	if err := cli.RunNoErrOutput(cmd); err != nil {
		return fmt.Errorf("kube-controller-manager: %w", err)
	}
	return nil
}
