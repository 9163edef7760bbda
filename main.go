// Command openvidu-basic-go is an application server for OpenVidu 2 video calls. It creates sessions and connections
// for a frontend and keeps OpenVidu's secret to itself. A session is a call, a connection is one participant's place in
// it, and a browser joins with the connection's token.
//
// Read main.go for start-up, shutdown and settings, then handlers.go for routes, middleware and a frontend's files,
// then openvidu.go for requests to OpenVidu and what its responses mean.
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
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	checkInterval = 5 * time.Second // from a failed check of OpenVidu to the next one

	headerTimeout = 5 * time.Second  // for receiving a request's header
	readTimeout   = 10 * time.Second // for receiving a whole request, header and body
	idleTimeout   = 3 * time.Minute  // between two requests; longer than nginx and Caddy wait, so that they close first

	// requestTimeout (50 s) limits a request from its header to the end of the response, except for a file (fileTimeout
	// in handlers.go), and it limits the shutdown. It is the sum of the times for receiving the request, waiting for
	// OpenVidu (maxWait in openvidu.go) and sending the response.
	requestTimeout = readTimeout + maxWait + 10*time.Second
)

func main() {
	flag.Usage = func() { printUsage(flag.CommandLine.Output()) }
	flag.Parse() // there are no flags but -h
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "unexpected argument %q: see -h\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // restore the default, so that a second signal kills the program
	// The program that reads the log may end first, as tee does on Ctrl+C. Without this, the next write to the log
	// would kill this server, and with it the requests in flight.
	signal.Ignore(syscall.SIGPIPE)
	log.SetOutput(io.Discard) // http.Transport logs data after the end of a response, which may contain a token
	if err := run(ctx, os.Getenv, os.DirFS("."), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "openvidu-basic-go creates OpenVidu sessions and tokens for a frontend.\n\n",
		"Settings, from environment variables or from the file .env in the working directory:\n")
	for _, s := range settings {
		fmt.Fprintf(w, "  %-24s  %s (default %s)\n", s.name, s.usage, cmp.Or(s.defaultValue, "empty"))
	}
}

// run loads the settings from getenv and from the file .env in dir, logs to stderr, and serves until ctx is done.
// Then it finishes the requests in flight.
func run(ctx context.Context, getenv func(string) string, dir fs.FS, stderr io.Writer) error {
	cfg, err := loadConfig(getenv, dir)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.address, cfg.port))
	if err != nil && cfg.address == "" {
		return fmt.Errorf("SERVER_PORT: %w", err)
	}
	if err != nil {
		return fmt.Errorf("SERVER_ADDRESS or SERVER_PORT: %w", err)
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	logger.Info("listening", append([]any{"address", listener.Addr()}, cfg.logAttrs...)...)
	if len(cfg.unknown) > 0 {
		logger.Warn(".env contains names that aren't settings", "names", strings.Join(cfg.unknown, ","))
	}
	if cfg.password == "" {
		logger.Warn("API_PASSWORD is not set: anyone who can reach this server can join any session")
	}
	if cfg.tlsSkipVerify {
		logger.Warn("OPENVIDU_TLS_SKIP_VERIFY is true: a man in the middle can steal the secret")
	}
	ov := newOpenVidu(cfg.openviduURL, cfg.secret, cfg.tlsSkipVerify)
	go logReadiness(ctx, ov, logger)
	return serve(ctx, cfg, newAPI(ov, cfg.password), listener, logger)
}

// logReadiness checks OpenVidu, and again checkInterval after each failure, until a check succeeds or ctx is done. It
// logs why OpenVidu can't be used, but the same httpError only once in a row.
func logReadiness(ctx context.Context, ov *openVidu, logger *slog.Logger) {
	var logged httpError
	for {
		version, publicURL, err := ov.check(ctx)
		if err == nil {
			logger.Info("OpenVidu is ready", "version", version, "OPENVIDU_PUBLICURL", publicURL)
			return
		}
		if ctx.Err() != nil {
			return
		}
		// Compare only the httpError that err wraps. The cause may contain a local port, which changes with every check.
		failure, _ := errors.AsType[httpError](err)
		if failure != logged {
			logger.Warn("cannot use OpenVidu yet, retrying", "every", checkInterval, "error", err)
			logged = failure
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkInterval):
		}
	}
}

// serve serves api and the frontend's files on listener until ctx is done, and then finishes the requests in flight.
// It returns an error if the listener fails, or if the requests in flight take longer than requestTimeout, as a slow
// download can.
func serve(ctx context.Context, cfg *config, api http.Handler, listener net.Listener, logger *slog.Logger) error {
	server := newServer(newHandler(api, cfg.staticDir, cfg.origins, logger), logger)
	result := make(chan error, 1) // with a buffer, because nobody receives if the listener fails
	context.AfterFunc(ctx, func() {
		logger.Info("shutting down, waiting for requests in flight")
		shutdownCtx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		result <- server.Shutdown(shutdownCtx)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	// Serve returns as soon as Shutdown is called. Shutdown returns after the requests in flight.
	if err := <-result; err != nil {
		return fmt.Errorf("requests in flight did not finish within %v: %w", requestTimeout, err)
	}
	return nil
}

// newServer returns a server with timeouts, so that slow clients can't tie it up.
func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10, // ample for a browser; the default is 1 MiB
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

type config struct {
	address       string // "" for all interfaces
	port          string
	openviduURL   *url.URL // without user information, query, fragment or /openvidu/api
	secret        string
	tlsSkipVerify bool
	password      string   // "" for none
	origins       []string // allowed ones, or only "*" for any
	staticDir     string   // "" for the built-in page
	logAttrs      []any    // names and values of the settings; for a secret, its source instead of its value
	unknown       []string // names in .env that aren't settings, sorted
}

// settings lists what the environment or .env can set. parse stores a value in a config. Its error says what is wrong
// with the value, but quotes neither a secret nor an invalid OPENVIDU_URL, which may contain one.
var settings = []struct {
	name, defaultValue, usage string
	parse                     func(cfg *config, value string) error
	secret                    bool // the value isn't logged
}{
	{name: "SERVER_ADDRESS",
		usage: "IP address of this host to listen on, such as 127.0.0.1, or empty for all interfaces",
		parse: (*config).parseAddress},
	{name: "SERVER_PORT", defaultValue: "5000", usage: "port to listen on; 0 picks a free port",
		parse: (*config).parsePort},
	{name: "OPENVIDU_URL", defaultValue: "http://localhost:4443/", usage: "OpenVidu's base URL, without /openvidu/api",
		parse: (*config).parseURL},
	{name: "OPENVIDU_SECRET", defaultValue: "MY_SECRET",
		usage: "OpenVidu's secret; for OpenVidu 2.32, at most 72 bytes", parse: (*config).parseSecret, secret: true},
	{name: "OPENVIDU_TLS_SKIP_VERIFY", defaultValue: "false",
		usage: "true skips certificate verification; for development only", parse: (*config).parseSkipVerify},
	{name: "API_PASSWORD",
		usage: "password for the API, at least 16 characters (A-Z, a-z, 0-9, -._~+/), or empty for none",
		parse: (*config).parsePassword, secret: true},
	{name: "CORS_ALLOWED_ORIGINS", defaultValue: "*",
		usage: "allowed origins, comma-separated, such as https://example.com, or * for any",
		parse: (*config).parseOrigins},
	{name: "STATIC_DIR", usage: "directory with a frontend's files, served at /, or empty for the built-in page",
		parse: (*config).parseStaticDir},
}

// loadConfig takes each setting from getenv, else from the file .env in dir, else its default; empty values count as
// unset. Its error lists every invalid setting and every invalid line of .env, but never the text of an invalid line,
// which may be secret.
func loadConfig(getenv func(string) string, dir fs.FS) (*config, error) {
	var errs []error
	text, err := readDotenv(dir)
	if err != nil {
		errs = append(errs, err)
	}
	dotenv := map[string]string{} // the last occurrence of a name counts
	for i, line := range strings.Split(text, "\n") {
		name, value, err := parseAssignment(line)
		if err != nil {
			errs = append(errs, fmt.Errorf(".env:%d: %w", i+1, err))
		} else if name != "" {
			dotenv[name] = value
		}
	}
	cfg := &config{}
	for _, s := range settings {
		value, source := s.defaultValue, "default"
		if v := dotenv[s.name]; v != "" {
			value, source = v, "from .env"
		}
		// In Command Prompt, "set NAME=value && go run ." sets "value ", with a space.
		if v := strings.TrimSpace(getenv(s.name)); v != "" {
			value, source = v, "from the environment"
		}
		if err := s.parse(cfg, value); err != nil {
			errs = append(errs, fmt.Errorf("%s (%s): %w", s.name, source, err))
		}
		if s.secret && value != "" {
			value = "(" + source + ")"
		}
		cfg.logAttrs = append(cfg.logAttrs, s.name, value)
		delete(dotenv, s.name) // what remains isn't a setting
	}
	if cfg.password == cfg.secret {
		err := errors.New("API_PASSWORD must differ from OPENVIDU_SECRET, which participants must not know")
		errs = append(errs, err)
	}
	cfg.unknown = slices.Sorted(maps.Keys(dotenv))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return cfg, nil
}

func (cfg *config) parseAddress(value string) error {
	if value == "" {
		return nil
	}
	if _, err := netip.ParseAddr(value); err != nil {
		return errors.New("must be an IP address, such as 127.0.0.1")
	}
	cfg.address = value
	return nil
}

func (cfg *config) parsePort(value string) error {
	if _, err := strconv.ParseUint(value, 10, 16); err != nil {
		return errors.New("must be a number from 0 to 65535")
	}
	cfg.port = value
	return nil
}

func (cfg *config) parseURL(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("must be an http or https URL with a host, such as http://localhost:4443/")
	}
	// Look for @, because u.User is nil if a password contains a slash, as in http://user:1/2@host.
	if strings.ContainsAny(value, "@?#") {
		return errors.New("must not include @ (credentials), a query or a fragment")
	}
	if u.Port() != "" && !isPort(u.Port()) {
		return errors.New("the port must be from 1 to 65535, without leading zeros")
	}
	if strings.Contains(u.Path+"/", "/openvidu/api/") {
		return errors.New("must not include /openvidu/api")
	}
	cfg.openviduURL = u
	return nil
}

// parseSecret accepts any value. Only OpenVidu 2.32 limits it, to the 72 bytes that bcrypt takes.
func (cfg *config) parseSecret(value string) error {
	cfg.secret = value
	return nil
}

func (cfg *config) parseSkipVerify(value string) error {
	skip, err := strconv.ParseBool(value)
	if err != nil {
		return errors.New("must be true or false")
	}
	cfg.tlsSkipVerify = skip
	return nil
}

// bearerPattern matches the credentials of a header Authorization: Bearer (RFC 6750, section 2.1).
var bearerPattern = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func (cfg *config) parsePassword(value string) error {
	if value == "" {
		return nil
	}
	if len(value) < 16 || !bearerPattern.MatchString(value) {
		return errors.New("must have at least 16 characters: A-Z, a-z, 0-9 and -._~+/, optionally followed by =")
	}
	cfg.password = value
	return nil
}

func (cfg *config) parseOrigins(value string) error {
	if value == "*" {
		cfg.origins = []string{"*"}
		return nil
	}
	for origin := range strings.SplitSeq(value, ",") {
		origin = strings.TrimSpace(origin)
		if strings.Contains(origin, "*") {
			return fmt.Errorf("%q: * can only be the whole value", origin)
		}
		if !isOrigin(origin) {
			return fmt.Errorf("%q must be an origin such as https://example.com, in lower case, "+
				"without a path, a trailing slash or the default port", origin)
		}
		cfg.origins = append(cfg.origins, origin)
	}
	return nil
}

// isOrigin reports whether text looks like the value of a browser's Origin header other than null (RFC 6454, section
// 6.2). If a wrong origin slips through, the log shows the right one as origin_not_allowed (see cors).
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || text != u.Scheme+"://"+strings.ToLower(u.Host) { // upper case, credentials, a path …
		return false
	}
	if u.Scheme != "http" && u.Scheme != "https" { // such as capacitor://localhost or file://
		return true
	}
	if u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return false
	}
	isDefault := u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443"
	return u.Port() == "" || isPort(u.Port()) && !isDefault
}

// isPort reports whether text is the number of a port in its usual form, from 1 to 65535.
func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil && text[0] != '0'
}

func (cfg *config) parseStaticDir(value string) error {
	if value == "" {
		return nil
	}
	root, err := os.OpenRoot(value) // fails unless value is a directory
	if err != nil {
		return fmt.Errorf("must be a directory: %w", err)
	}
	cfg.staticDir = value
	return root.Close()
}

// readDotenv returns the text of the file .env in dir, or "" if there is no such file.
func readDotenv(dir fs.FS) (string, error) {
	text, err := fs.ReadFile(dir, ".env")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !utf8.Valid(text) {
		return "", errors.New(".env must be UTF-8")
	}
	return strings.TrimPrefix(string(text), "\ufeff"), nil // a byte order mark
}

var assignmentPattern = regexp.MustCompile(`^(?:export\s+)?([\w.-]+)\s*=(.*)$`)

// parseAssignment returns the name and the value in a line NAME=VALUE of a .env file, or two empty strings for an
// empty line or a comment. Its error doesn't contain the line, which may be secret.
func parseAssignment(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", "", nil
	}
	match := assignmentPattern.FindStringSubmatch(line)
	if match == nil {
		return "", "", errors.New("must be NAME=VALUE")
	}
	value, err = parseValue(match[2])
	if err != nil {
		return "", "", err
	}
	return match[1], value, nil
}

var (
	quotedPattern  = regexp.MustCompile(`^\s*(?:"([^"]*)"|'([^']*)')\s*(?:#.*)?$`)
	commentPattern = regexp.MustCompile(`\s#.*`)
)

// parseValue returns the value in text, which follows the = of an assignment. Quoted text is literal. In unquoted
// text, a # after white space starts a comment.
func parseValue(text string) (string, error) {
	if match := quotedPattern.FindStringSubmatch(text); match != nil {
		return match[1] + match[2], nil // the text between double or single quotes
	}
	value := strings.TrimSpace(commentPattern.ReplaceAllString(text, ""))
	if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
		return "", errors.New("invalid quoting: put the value in single or double quotes, whichever it doesn't contain")
	}
	return value, nil
}
