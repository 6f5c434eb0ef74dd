package main

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const etcdData = "etcd"

// The socket is out of reach for other users of the machine (the state directory is), as etcd asks nobody who they are.
const etcdEndpoint = "unix://etcd.sock"

// A first start that is cut short leaves a log without members, with which etcd would wait for a leader for ever. So the
// store counts only once this file is there.
const etcdFounded = "etcd-founded"

// startEtcd runs a single member without peers. It never syncs to disk: what it holds survives the death of the process,
// not that of the machine.
func startEtcd(ctx context.Context) (*embed.Etcd, error) {
	client, err := url.Parse(etcdEndpoint)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(etcdFounded); errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(etcdData); err != nil {
			return nil, err
		}
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = etcdData, "error", true
	cfg.ListenClientUrls = []url.URL{*client}
	cfg.ListenPeerUrls = nil // the advertised URLs stay etcd's defaults: names in its store that nobody ever calls
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, writeFile(etcdFounded, "")
	case err := <-etcd.Err():
		return nil, err
	case <-ctx.Done():
		etcd.Server.HardStop()
		return nil, ctx.Err()
	case <-time.After(time.Minute):
		etcd.Server.HardStop()
		return nil, errors.New("not ready after a minute")
	}
}
