// Command apiserver is the kube-apiserver of Kubernetes, built from its module for the tests.
package main

import (
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if err := cli.RunNoErrOutput(app.NewAPIServerCommand()); err != nil {
		panic(err)
	}
}
