// Command controlplane is a Kubernetes control plane for development and tests, in one process: etcd, kube-apiserver
// and the controllers that a cluster's behaviour hangs on (garbage collector, namespaces, service accounts, HPA).
// There is no scheduler and no node: no pod ever runs. It listens on the loopback interface only.
//
// All it keeps lies in its state directory. Started again on the same directory it is the same cluster: same objects,
// port, token, certificate and service account key, so that a kubeconfig written once stays valid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // registers the client metrics of both commands
)

// readyFileVariable names the file that is made once the control plane answers. Removing it is the asker's business.
const readyFileVariable = "CLOUDHERD_READY_FILE"

// A graceful stop of kube-apiserver waits up to a minute for open watches, and its own controllers hold some. What was
// answered is already in etcd's log, so requests on their way get this long and no more.
const shutdownGrace = time.Second

type options struct {
	dir           string
	kubeconfig    string
	readyFile     string
	port          int
	audit         bool
	exitWithStdin bool
	apiserverArgs []string
}

func main() {
	opts, err := parse(os.Args[1:])
	if err == nil {
		err = run(opts)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("controlplane", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: controlplane -dir DIR [flags] [-- arguments for kube-apiserver, paths relative to DIR]")
		flags.PrintDefaults()
		fmt.Fprintln(flags.Output(), "  $"+readyFileVariable+"\n    	file to make once all is ready")
	}
	flags.StringVar(&opts.dir, "dir", "", "state directory; made if missing, taken up again if not")
	flags.StringVar(&opts.kubeconfig, "kubeconfig", "", "administrator's kubeconfig, written once the server is ready (default DIR/kubeconfig)")
	flags.IntVar(&opts.port, "port", 0, "port of the API server (default: the directory's, or a free one)")
	flags.BoolVar(&opts.audit, "audit", false, "log every write, without its content, to DIR/"+auditLog)
	flags.BoolVar(&opts.exitWithStdin, "exit-with-stdin", false, "stop when standard input ends, so that nothing outlives the parent")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	opts.apiserverArgs = flags.Args()
	if opts.dir == "" {
		return opts, errors.New("-dir is missing: name a state directory")
	}
	var err error
	if opts.dir, err = filepath.Abs(opts.dir); err != nil {
		return opts, err
	}
	if opts.kubeconfig == "" {
		opts.kubeconfig = filepath.Join(opts.dir, "kubeconfig")
	}
	if opts.kubeconfig, err = filepath.Abs(opts.kubeconfig); err != nil {
		return opts, err
	}
	if opts.readyFile = os.Getenv(readyFileVariable); opts.readyFile != "" {
		opts.readyFile, err = filepath.Abs(opts.readyFile)
	}
	return opts, err
}

func run(opts options) error {
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged // two commands set up logging in one process
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if opts.exitWithStdin {
		go terminateAtEOF(os.Stdin)
	}
	state, err := openState(opts.dir, opts.port)
	if err != nil {
		return err
	}
	defer state.lock.Close() // a file that nothing refers to any more is closed by the garbage collector, and its lock with it

	etcd, err := startEtcd(ctx)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Server.HardStop()
	if opts.audit {
		if err := os.WriteFile(auditPolicyFile, auditPolicy, 0o600); err != nil {
			return err
		}
	}
	ended := make(chan error, 2)
	go func() { ended <- runAPIServer(state.port, opts.audit, opts.apiserverArgs) }()
	go func() {
		if err := serve(ctx, state, opts); err != nil {
			ended <- err
		}
	}()

	select {
	case err := <-ended:
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("kube-apiserver ended by itself")
			}
			return err
		}
	case <-ctx.Done():
		select {
		case <-ended:
		case <-time.After(shutdownGrace):
		}
	}
	return nil
}

// serve waits for the API server, writes the kubeconfig, says that all is ready, and runs the controllers.
func serve(ctx context.Context, state *state, opts options) error {
	if err := waitReady(ctx, state); err != nil {
		return err
	}
	if err := writeKubeconfig(state, opts.kubeconfig); err != nil {
		return err
	}
	if opts.readyFile != "" {
		if err := writeFile(opts.readyFile, ""); err != nil {
			return err
		}
	}
	return runControllers(opts.kubeconfig)
}

// terminateAtEOF takes the same way out as a signal, since kube-apiserver listens for signals too.
func terminateAtEOF(r io.Reader) {
	_, _ = io.Copy(io.Discard, r)
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
}
