package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const (
	servingCert     = "pki/apiserver.crt" // made by kube-apiserver at its first start, signed by itself
	servingKey      = "pki/apiserver.key"
	auditLog        = "audit.log"
	auditPolicyFile = "audit-policy.yaml"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// runAPIServer returns when the server has ended; it ends itself on SIGTERM and SIGINT.
func runAPIServer(port int, audit bool, extra []string) error {
	args := []string{
		"--etcd-servers=" + etcdEndpoint,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir=pki", "--token-auth-file=" + tokensFile, "--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
		// One key serves both ends; it is there by the time that this one is read.
		"--service-account-issuer=https://127.0.0.1/",
		"--service-account-key-file=" + servingKey, "--service-account-signing-key-file=" + servingKey,
		"--disable-admission-plugins=ServiceAccount", // pods never run, so they need no token
	}
	if audit {
		args = append(args, "--audit-policy-file="+auditPolicyFile, "--audit-log-path="+auditLog,
			"--audit-log-maxsize=1000", "--audit-log-maxbackup=1") // megabytes: over a million writes are counted in one file
	}
	cmd := app.NewAPIServerCommand()
	cmd.SetArgs(append(args, extra...))
	if err := cli.RunNoErrOutput(cmd); err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	return nil
}

// waitReady returns when the server answers and the namespace default exists, which /readyz does not wait for.
func waitReady(ctx context.Context, s *state) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		config, err := adminConfig(s)
		if err != nil {
			return false, nil // no certificate yet
		}
		rest, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
		if err != nil {
			return false, err
		}
		client, err := kubernetes.NewForConfig(rest)
		if err != nil {
			return false, err
		}
		if client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() != nil {
			return false, nil
		}
		_, err = client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		return err == nil, nil
	})
}

// adminConfig holds all that it needs in itself, so that it can be copied elsewhere.
func adminConfig(s *state) (*clientcmdapi.Config, error) {
	ca, err := os.ReadFile(servingCert)
	if err != nil {
		return nil, err
	}
	const name = "cloudherd-dev"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server: fmt.Sprintf("https://127.0.0.1:%d", s.port), CertificateAuthorityData: ca,
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: s.token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return config, nil
}

func writeKubeconfig(s *state, path string) error {
	config, err := adminConfig(s)
	if err != nil {
		return err
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeFile(path, string(content))
}
