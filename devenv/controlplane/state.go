package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const (
	portFile   = "port"
	tokensFile = "tokens.csv"
)

// state is what makes a restarted control plane the same one. Its files lie in the working directory.
type state struct {
	port  int
	token string
	lock  *os.File // held for as long as the process lives
}

// openState makes the directory or takes it up again, and makes it the working directory: etcd's socket is named
// relative to it, since the path of a Unix socket may have about a hundred characters only.
func openState(dir string, port int) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chdir(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("state directory %s is in use by another control plane: stop that one, or take another -dir", dir)
	}
	if port, err = choosePort(port); err != nil {
		return nil, err
	}
	token, err := keptToken()
	return &state{port: port, token: token, lock: lock}, err
}

// choosePort returns the wanted port, else the one kept from last time, else a free one, and keeps it.
func choosePort(wanted int) (int, error) {
	kept, err := os.ReadFile(portFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if wanted == 0 && err == nil {
		if wanted, err = strconv.Atoi(strings.TrimSpace(string(kept))); err != nil {
			return 0, fmt.Errorf("%s: %w", portFile, err)
		}
	}
	if wanted != 0 {
		if err := canListen(wanted); err != nil {
			return 0, fmt.Errorf("port %d of this control plane cannot be had (%w): stop what listens there, or give another -port", wanted, err)
		}
		return wanted, writeFile(portFile, strconv.Itoa(wanted)+"\n")
	}
	for range 100 {
		// Below the ports that systems hand out to outgoing connections: one of those may take ours while we are down.
		port := 20000 + mathrand.IntN(10000)
		if canListen(port) == nil {
			return port, writeFile(portFile, strconv.Itoa(port)+"\n")
		}
	}
	return 0, errors.New("no free port between 20000 and 30000: give one with -port")
}

func canListen(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}

// keptToken returns the administrator's token, from the file that kube-apiserver reads; it makes both at the first start.
func keptToken() (string, error) {
	kept, err := os.ReadFile(tokensFile)
	if err == nil {
		token, _, _ := strings.Cut(string(kept), ",")
		return token, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	token := rand.Text()
	return token, writeFile(tokensFile, token+",admin,admin,system:masters\n")
}

// writeFile leaves either the whole content or what was there before.
func writeFile(path, content string) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
