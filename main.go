// Command openvidu-basic-go is the application server between the frontend of
// a video call and OpenVidu 2: it makes the sessions and connections that the
// frontend asks for, and keeps OpenVidu's secret to itself.
//
// To be read in this order: main.go (settings, start, stop), handlers.go (the
// way of a request), openvidu.go (the calls to OpenVidu).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	defaultPort       = "5000"
	defaultURL        = "http://localhost:4443/"
	defaultSecret     = "MY_SECRET"
	defaultSkipVerify = "false"
	defaultOrigins    = "*"

	usage = `openvidu-basic-go makes sessions and tokens of OpenVidu for a frontend.

Settings, from the environment or a .env file in the working folder:
  SERVER_PORT               the port to listen on, 0 for any free one (default 5000)
  OPENVIDU_URL              where OpenVidu is (default http://localhost:4443/)
  OPENVIDU_SECRET           the secret that OpenVidu was started with (default MY_SECRET)
  OPENVIDU_TLS_SKIP_VERIFY  true to accept any certificate from OpenVidu (default false)
  CORS_ALLOWED_ORIGINS      the origins that browsers may call from, with commas
                            between, or * for any (default *)
`
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the program at once
	// What OpenVidu sends unasked, net/http prints to the standard logger, cookie and all.
	log.SetOutput(io.Discard)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.DirFS("."), os.Stdout, os.Stderr))
}

// run is the whole program: it serves until ctx is done, with settings from
// getenv and the file .env in dir, and returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, dir fs.FS, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "-h", "-help", "--help":
			fmt.Fprint(stdout, usage)
			return 0
		}
		fmt.Fprint(stderr, usage)
		return 2
	}
	cfg, err := loadConfig(getenv, dir)
	if err == nil {
		err = serve(ctx, cfg, slog.New(slog.NewTextHandler(stderr, nil)))
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

type config struct {
	port          string
	openviduURL   *url.URL
	secret        string
	tlsSkipVerify bool
	origins       []string // none: any
}

// loadConfig takes each setting from getenv, else from the file .env in dir,
// else its default. The error has a line for everything that is wrong.
func loadConfig(getenv func(string) string, dir fs.FS) (config, error) {
	text, err := fs.ReadFile(dir, ".env")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	vars, parseErr := parseDotenv(string(text))
	errs := []error{err, parseErr}
	setting := func(name, byDefault string) string {
		return cmp.Or(getenv(name), vars[name], byDefault)
	}
	wrong := func(name, should string) {
		errs = append(errs, fmt.Errorf("%s: should be %s", name, should))
	}

	cfg := config{
		port:   setting("SERVER_PORT", defaultPort),
		secret: setting("OPENVIDU_SECRET", defaultSecret),
	}
	if _, err := strconv.ParseUint(cfg.port, 10, 16); err != nil {
		wrong("SERVER_PORT", "a number from 0 to 65535")
	}
	// The URL may hold a password, and then so does the error.
	cfg.openviduURL, err = url.Parse(setting("OPENVIDU_URL", defaultURL))
	if err != nil || cfg.openviduURL.Hostname() == "" ||
		cfg.openviduURL.Scheme != "http" && cfg.openviduURL.Scheme != "https" {
		wrong("OPENVIDU_URL", "an http or https URL with a host, like "+defaultURL)
	}
	cfg.tlsSkipVerify, err = strconv.ParseBool(setting("OPENVIDU_TLS_SKIP_VERIFY", defaultSkipVerify))
	if err != nil {
		wrong("OPENVIDU_TLS_SKIP_VERIFY", "true or false")
	}
	if list := setting("CORS_ALLOWED_ORIGINS", defaultOrigins); list != "*" {
		for _, origin := range strings.Split(list, ",") {
			origin = strings.TrimSpace(origin)
			if !isOrigin(origin) {
				wrong("CORS_ALLOWED_ORIGINS", fmt.Sprintf("* or a list like https://example.com,http://localhost:8080; %q is no origin", origin))
			}
			cfg.origins = append(cfg.origins, origin)
		}
	}
	return cfg, errors.Join(errs...)
}

// isOrigin tells whether s is scheme://host[:port], as browsers write it (RFC
// 6454, section 6.2): lower case, and no slash at the end. No * in it either,
// for origins are compared exactly.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != "" && s == strings.ToLower(u.Scheme+"://"+u.Host) && !strings.Contains(s, "*")
}

// parseDotenv reads the lines NAME=VALUE of a .env file, the last of a name
// counts. The error names each line that can't be read, but holds none of its
// text, which may be the secret.
func parseDotenv(text string) (map[string]string, error) {
	vars := map[string]string{}
	var errs []error
	text = strings.TrimPrefix(text, "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		words := strings.Fields(name)
		if len(words) == 2 && words[0] == "export" {
			words = words[1:]
		}
		value, closed := unquote(value)
		if !found || len(words) != 1 || strings.ContainsAny(name, `:"'#`) {
			errs = append(errs, fmt.Errorf(".env:%d: should be NAME=VALUE", i+1))
		} else if !closed {
			errs = append(errs, fmt.Errorf(".env:%d: the value should end with the quote that it begins with", i+1))
		} else {
			vars[words[0]] = value
		}
	}
	return vars, errors.Join(errs...)
}

// unquote takes spaces, quotes and a comment from a value. Between quotes
// everything is taken as it stands; without them a comment begins at a # behind
// a space. It reports whether a quote that opens the value closes it too.
func unquote(value string) (string, bool) {
	trimmed := strings.TrimSpace(value)
	if trimmed != "" && strings.Contains(`"'`, trimmed[:1]) {
		value, rest, closed := strings.Cut(trimmed[1:], trimmed[:1])
		rest = strings.TrimSpace(rest)
		return value, closed && (rest == "" || rest[0] == '#')
	}
	for i := 1; i < len(value); i++ {
		if value[i] == '#' && (value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
		}
	}
	return strings.TrimSpace(value), true
}

// serve answers on cfg.port until ctx is done, and then the requests that are
// in flight. The error is one that a person can mend.
func serve(ctx context.Context, cfg config, log *slog.Logger) error {
	listener, err := net.Listen("tcp", ":"+cfg.port)
	if err != nil {
		return fmt.Errorf("SERVER_PORT: port %s can't be listened on, set another or stop what holds it: %w", cfg.port, err)
	}
	ov := newOpenVidu(cfg.openviduURL, cfg.secret, cfg.tlsSkipVerify)
	defer ov.close()
	server := newServer(newHandler(ov, cfg.origins, log), log)

	log.Info("listening", "address", listener.Addr().String(), "OPENVIDU_URL", cfg.openviduURL.Redacted())
	if cfg.tlsSkipVerify {
		log.Warn("OPENVIDU_TLS_SKIP_VERIFY is true: any server that gets in between can take the secret")
	}
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		checkOpenVidu(ctx, ov, log)
	}()
	defer func() { <-checked }()

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping, requests in flight are answered first")
	// A new name: the goroutine of the start-up check still reads ctx.
	shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.WriteTimeout)
	defer cancel()
	return server.Shutdown(shutdownCtx)
}

// checkOpenVidu tells in the log whether OpenVidu is ready or what to mend. It
// also gets the cookie and the connection that the first participant would
// have to wait for.
func checkOpenVidu(ctx context.Context, ov *openVidu, log *slog.Logger) {
	version, err := ov.version(ctx)
	if err == nil {
		log.Info("OpenVidu " + version + " is ready")
	} else if ctx.Err() == nil {
		log.Warn("OpenVidu is not ready", "cause", err)
	}
}

// newServer returns a server that no client holds up: it has 5 s for its
// headers, 10 for the whole request, and a connection without one is closed
// after 2 minutes. The time for a reply counts from the end of the headers, so
// there is room in it for a slow body and all that a call may take.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      40 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
