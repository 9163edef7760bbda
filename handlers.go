package main

import (
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	maxBody     = 100 << 10        // bytes of a request body; errLargeBody states it, too
	fileTimeout = 10 * time.Minute // for sending a file
)

// These are the failures of authentication and of reading a request's body. httpError is in openvidu.go, with the other
// failures.
var (
	errPassword = httpError{http.StatusUnauthorized,
		"missing or wrong password: ask whoever runs this server for API_PASSWORD, " +
			"and send it as Authorization: Bearer PASSWORD"}
	errUnreadableBody = httpError{http.StatusBadRequest, "cannot read request body"}
	errSlowBody       = httpError{http.StatusRequestTimeout, "timed out reading request body"}
	errLargeBody      = httpError{http.StatusRequestEntityTooLarge, "request body exceeds 100 KiB"}
)

// public contains the built-in page.
//
//go:embed public/index.html
var public embed.FS

// newHandler returns the handler for everything: api under /api/, and elsewhere the files in staticDir or, if that is
// "", the built-in page. It also limits bodies, logs requests, and lets pages from the given origins read the
// responses; "*" means any origin.
func newHandler(api http.Handler, staticDir string, origins []string, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	var files fs.FS = dirFS(staticDir)
	if staticDir == "" {
		files, _ = fs.Sub(public, "public") // fails only if the name is invalid
	}
	mux.Handle("/", newFileHandler(files))

	// Each handler wraps the one before it, so the last one gets a request first.
	handler := cors(origins, mux)          // so that pages can read every response
	handler = discardBody(handler)         // relies on the limit of MaxBytesHandler
	handler = logRequests(logger, handler) // logs what api and cors add to the line, too
	// MaxBytesHandler needs net/http's own ResponseWriter, not a wrapper, to report a body that is too large. net/http
	// then waits for 500 ms before it closes the connection, so that the response arrives before a TCP reset.
	return http.MaxBytesHandler(handler, maxBody)
}

// newAPI returns the handler for the frontend's API, which creates sessions and connections with ov. Unless password is
// "", every request needs it.
func newAPI(ov *openVidu, password string) http.Handler {
	mux := http.NewServeMux()
	createSession := func(r *http.Request, properties []byte) (string, error) {
		return ov.createSession(r.Context(), properties)
	}
	createConnection := func(r *http.Request, properties []byte) (string, error) {
		return ov.createConnection(r.Context(), r.PathValue("sessionId"), properties)
	}
	mux.Handle("POST /api/sessions", newCreateHandler(createSession))
	mux.Handle("POST /api/sessions/{sessionId}/connections", newCreateHandler(createConnection))
	if password == "" {
		return mux
	}
	return requirePassword(password, mux)
}

// requirePassword responds 401 to requests without the header Authorization: Bearer PASSWORD (RFC 6750, section 2.1).
func requirePassword(password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		isPassword := subtle.ConstantTimeCompare([]byte(credentials), []byte(password)) == 1
		if !strings.EqualFold(scheme, "Bearer") || !isPassword {
			w.Header().Set("WWW-Authenticate", "Bearer")
			respondError(w, r, errPassword)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// newCreateHandler returns a handler that calls create with the properties in the request body and responds with the
// session ID or token that create returns.
func newCreateHandler(create func(r *http.Request, properties []byte) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		properties, err := readBody(r)
		if err != nil {
			respondError(w, r, err)
			return
		}
		text, err := create(r, properties)
		if err != nil {
			respondError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, text)
	})
}

// readBody returns the request body, or {} if it is empty.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errLargeBody
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // the server's ReadTimeout
		return nil, errSlowBody
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadableBody, err)
	}
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	return body, nil
}

// respondError responds with the httpError that err wraps and adds err to the request's log line.
func respondError(w http.ResponseWriter, r *http.Request, err error) {
	addLogAttr(r, "error", err.Error())
	e, ok := errors.AsType[httpError](err)
	if !ok { // a bug
		e = errInternal
	}
	http.Error(w, e.text, e.status)
}

// logRequests logs a line for every request, with the attributes that next adds. If next panics, net/http logs that
// instead.
func logRequests(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{w, http.StatusOK}
		var added []slog.Attr // addLogAttr appends to it through the context
		next.ServeHTTP(recorder, r.WithContext(context.WithValue(r.Context(), logAttrsKey{}, &added)))
		level := slog.LevelInfo
		if recorder.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		attrs := []slog.Attr{
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", recorder.status),
			slog.Duration("duration", time.Since(start)),
		}
		logger.LogAttrs(r.Context(), level, "request", append(attrs, added...)...)
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

// Unwrap returns the ResponseWriter that http.ResponseController needs in serveFile.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// logAttrsKey is the key of the context value that contains a *[]slog.Attr for the request's log line.
type logAttrsKey struct{}

// addLogAttr adds an attribute to the log line of r, which must have passed through logRequests.
func addLogAttr(r *http.Request, name, value string) {
	attrs := r.Context().Value(logAttrsKey{}).(*[]slog.Attr)
	*attrs = append(*attrs, slog.String(name, value))
}

// discardBody reads what next doesn't read of the request body, as after a 401 or 404: all of it, or up to the limit of
// MaxBytesHandler. net/http does so, too, unless the request says Connection: close, as nginx before 1.29.7 does by
// default. Such a request could get a TCP reset instead of the response (RFC 9112, section 9.6).
//
// nginx takes a reset for a failure of this server. If it knows another instance, it then skips this one for 10 s:
// whoever keeps posting large bodies to a wrong path would lock out everyone.
func discardBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if r.Header.Get("Expect") == "" { // a client that waits for 100 Continue may never send a body
			io.Copy(io.Discard, r.Body)
		}
	})
}

// cors adds CORS headers to every response of next, errors included, and responds to preflights
// (https://fetch.spec.whatwg.org/#http-cors-protocol).
func cors(origins []string, next http.Handler) http.Handler {
	anyOrigin := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		if anyOrigin {
			header.Set("Access-Control-Allow-Origin", "*")
		} else {
			header.Set("Vary", "Origin")
			origin := r.Header.Get("Origin")
			if slices.Contains(origins, origin) {
				header.Set("Access-Control-Allow-Origin", origin)
			} else if origin != "" {
				// Pages of this origin can't read the response, unless this origin is the server's own: browsers send
				// Origin with every POST, even to the same origin.
				addLogAttr(r, "origin_not_allowed", origin)
			}
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			header.Set("Access-Control-Allow-Methods", http.MethodPost)
			// Allow whatever the page asks for, such as Content-Type or Authorization.
			header["Access-Control-Allow-Headers"] = r.Header["Access-Control-Request-Headers"]
			header.Set("Access-Control-Max-Age", "7200") // seconds; Chromium's maximum (preflight_result.cc)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// dirFS is a directory. Unlike with os.DirFS, links can't lead out of it. Open opens the directory for every file,
// because a build may replace it.
type dirFS string

func (dir dirFS) Open(name string) (fs.File, error) { return os.OpenInRoot(string(dir), name) }

// newFileHandler returns the handler for a frontend's files. What files.Open returns must implement io.ReadSeeker.
// Unlike http.FileServerFS, the handler hides names that start with a dot, and doesn't list directories.
func newFileHandler(files fs.FS) http.Handler {
	// This mux responds 405 to other methods. In newHandler's mux, GET / would panic because it conflicts with /api/:
	// its method is narrower, but its path is wider.
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache") // makes browsers ask each time whether the file has changed
		// Names such as .env and .git are hidden, and with them /.well-known/. On Windows, \ separates names, too.
		if strings.Contains(r.URL.Path, "/.") || strings.Contains(r.URL.Path, `\.`) {
			http.NotFound(w, r)
			return
		}
		if err := serveFile(w, r, files); err != nil {
			addLogAttr(r, "error", err.Error())
			http.NotFound(w, r)
		}
	})
	return mux
}

// serveFile responds with the file that r requests. A path that ends in a slash means index.html, and a directory
// redirects to its path with a slash. If serveFile returns an error, it hasn't responded.
func serveFile(w http.ResponseWriter, r *http.Request, files fs.FS) error {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		// Unlike http.Redirect's, this Location is relative, so it works behind a proxy that strips a prefix, too.
		withSlash := url.URL{Path: path.Base(name) + "/", RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", withSlash.String())
		w.WriteHeader(http.StatusMovedPermanently)
		return nil
	}
	if !info.ModTime().IsZero() { // the built-in page has no time
		// Last-Modified alone misses a rollback to an older file, and a change within a second.
		w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	}
	// WriteTimeout is too short for a large file on a slow network.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(fileTimeout))
	http.ServeContent(w, r, name, info.ModTime(), file.(io.ReadSeeker))
	return nil
}
