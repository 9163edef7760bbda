// Command openvidu-basic-go is an application server for OpenVidu 2 video calls. It creates sessions and connections for a
// frontend and keeps OpenVidu's secret to itself.
//
// Read main.go (settings, start-up, shutdown), then handlers.go (from request to response), then openvidu.go (calls to OpenVidu).
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
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
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	flag.Usage = func() { printUsage(flag.CommandLine.Output()) }
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "unexpected argument %q: see -h\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // restore the default, so that a second signal kills the program
	// net/http logs unsolicited responses to the standard logger, and they may contain a cookie or token.
	log.SetOutput(io.Discard)
	if err := run(ctx, os.Getenv, os.DirFS("."), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "openvidu-basic-go creates OpenVidu sessions and tokens for a frontend.\n\n",
		"Settings, from environment variables or from the file .env in the working directory:\n")
	for _, s := range new(config).settings() {
		fmt.Fprintf(w, "  %-24s  %s (default %s)\n", s.name, s.usage, s.defaultValue)
	}
}

// run loads the settings from getenv and from the file .env in dir, logs to stderr and serves until ctx is done. Then it
// finishes the requests in flight; it returns an error if they take longer than WriteTimeout.
func run(ctx context.Context, getenv func(string) string, dir fs.FS, stderr io.Writer) error {
	cfg, err := loadConfig(getenv, dir)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+cfg.port)
	if err != nil {
		return fmt.Errorf("SERVER_PORT: cannot listen on port %s (in use? choose another): %w", cfg.port, err)
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	ov := newOpenVidu(cfg.openviduURL, cfg.secret, cfg.tlsSkipVerify)
	defer ov.client.CloseIdleConnections()
	server := newServer(newHandler(ov, cfg.origins, logger), logger)

	logger.Info("listening", "address", listener.Addr().String(),
		"OPENVIDU_URL", cfg.openviduURL.Redacted(), "CORS_ALLOWED_ORIGINS", strings.Join(cfg.origins, ","))
	if cfg.tlsSkipVerify {
		logger.Warn("OPENVIDU_TLS_SKIP_VERIFY is true: a man in the middle can steal the secret")
	}

	var background sync.WaitGroup
	defer background.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { waitForOpenVidu(ctx, ov, 5*time.Second, logger) })
	failed := make(chan error, 1)
	background.Go(func() { failed <- server.Serve(listener) })
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("shutting down, waiting for requests in flight")
	shutdownCtx, cancelShutdown := context.WithTimeout(context.WithoutCancel(ctx), server.WriteTimeout)
	defer cancelShutdown()
	return server.Shutdown(shutdownCtx)
}

// waitForOpenVidu checks OpenVidu at the given interval until it is ready or ctx is done. It logs when OpenVidu is ready and,
// whenever the reason changes, why it isn't. A successful check also obtains the session cookie and opens a TCP connection.
func waitForOpenVidu(ctx context.Context, ov *openVidu, interval time.Duration, logger *slog.Logger) {
	var logged string
	for {
		version, err := ov.version(ctx)
		if err == nil {
			logger.Info("OpenVidu is ready", "version", version)
			return
		}
		reason := err.Error()
		if failure, ok := errors.AsType[openviduError](err); ok {
			reason = failure.Error() // without the wrapped cause, whose port or time may differ at every check
		}
		if ctx.Err() == nil && reason != logged {
			logger.Warn("OpenVidu is not ready", "error", err)
			logged = reason
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// newServer returns a server with timeouts, so that slow clients can't tie it up. WriteTimeout must cover a slow body plus a
// full call to OpenVidu.
func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      40 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// config contains the values of the settings.
type config struct {
	port          string
	openviduURL   *url.URL
	secret        string
	tlsSkipVerify bool
	origins       []string // as browsers send them, or only "*"
}

// setting describes a variable from the environment or .env. parse stores its value, or returns an error whose text completes
// "must be".
type setting struct {
	name, defaultValue, usage string
	parse                     func(value string) error
}

// settings returns all settings, whose parse functions store the values in cfg.
func (cfg *config) settings() []setting {
	return []setting{
		{"SERVER_PORT", "5000", "port to listen on; 0 picks a free port", cfg.parsePort},
		{"OPENVIDU_URL", "http://localhost:4443/", "OpenVidu's base URL, without /openvidu/api", cfg.parseURL},
		{"OPENVIDU_SECRET", "MY_SECRET", "OpenVidu's secret", func(value string) error { cfg.secret = value; return nil }},
		{"OPENVIDU_TLS_SKIP_VERIFY", "false", "true skips certificate verification; for development only", cfg.parseSkipVerify},
		{"CORS_ALLOWED_ORIGINS", "*", "allowed origins, comma-separated, exactly as browsers send them; * allows any", cfg.parseOrigins},
	}
}

// loadConfig takes each setting from getenv, the file .env in dir or its default, in this order; empty values count as unset.
// It reports every invalid setting, one per line, without values that may be secret.
func loadConfig(getenv func(string) string, dir fs.FS) (config, error) {
	text, err := fs.ReadFile(dir, ".env")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the file is optional
	}
	vars, parseErr := parseDotenv(string(text))
	errs := []error{err, parseErr}
	var cfg config
	for _, s := range cfg.settings() {
		if err := s.parse(cmp.Or(strings.TrimSpace(getenv(s.name)), vars[s.name], s.defaultValue)); err != nil {
			errs = append(errs, fmt.Errorf("%s: must be %w", s.name, err))
		}
	}
	return cfg, errors.Join(errs...)
}

func (cfg *config) parsePort(value string) error {
	cfg.port = value
	if _, err := strconv.ParseUint(value, 10, 16); err != nil {
		return errors.New("a number from 0 to 65535")
	}
	return nil
}

func (cfg *config) parseURL(value string) (err error) {
	cfg.openviduURL, err = url.Parse(value)
	if err != nil || cfg.openviduURL.Hostname() == "" || cfg.openviduURL.Scheme != "http" && cfg.openviduURL.Scheme != "https" {
		return errors.New("an http or https URL with a host, such as http://localhost:4443/")
	}
	return nil
}

func (cfg *config) parseSkipVerify(value string) (err error) {
	cfg.tlsSkipVerify, err = strconv.ParseBool(value)
	if err != nil {
		return errors.New("true or false")
	}
	return nil
}

// originPattern matches an origin as browsers send it (RFC 6454, section 6.2), and default ports, which parseOrigins rejects.
var originPattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)

func (cfg *config) parseOrigins(value string) error {
	for origin := range strings.SplitSeq(value, ",") {
		origin = strings.TrimSpace(origin)
		if value != "*" && !originPattern.MatchString(origin) ||
			strings.HasPrefix(origin, "http:") && strings.HasSuffix(origin, ":80") ||
			strings.HasPrefix(origin, "https:") && strings.HasSuffix(origin, ":443") {
			return fmt.Errorf("* or comma-separated origins such as https://example.com,http://localhost:8080 "+
				"(lower case, no path or trailing slash, no default port, non-ASCII hosts as xn--…); %q is not an origin", origin)
		}
		cfg.origins = append(cfg.origins, origin)
	}
	return nil
}

// assignment matches a line of a .env file.
var assignment = regexp.MustCompile(`^(?:export\s+)?([\w.-]+)\s*=(.*)$`)

// parseDotenv parses the lines NAME=VALUE of a .env file; the last occurrence of a name wins. Its error contains the
// numbers of invalid lines, but not their text, which may be secret.
func parseDotenv(text string) (map[string]string, error) {
	vars := map[string]string{}
	var errs []error
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if match := assignment.FindStringSubmatch(line); match == nil {
			errs = append(errs, fmt.Errorf(".env:%d: must be NAME=VALUE", i+1))
		} else if value, ok := unquote(match[2]); !ok {
			errs = append(errs, fmt.Errorf(".env:%d: value must end with the quote that it starts with", i+1))
		} else {
			vars[match[1]] = value
		}
	}
	return vars, errors.Join(errs...)
}

// unquote strips spaces, quotes and a trailing comment. Quoted text is literal; elsewhere # after a space starts a comment.
// It reports whether the quote is closed.
func unquote(value string) (string, bool) {
	trimmed := strings.TrimSpace(value)
	if trimmed != "" && strings.Contains(`"'`, trimmed[:1]) {
		value, rest, closed := strings.Cut(trimmed[1:], trimmed[:1])
		rest = strings.TrimSpace(rest)
		return value, closed && (rest == "" || rest[0] == '#')
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value), true
}
