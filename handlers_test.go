package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// The tests talk to this server over HTTP, and a fake OpenVidu sends it responses recorded from a real one. Most tests start the
// server with start. Tests in which time passes use simulate, and tests of the whole program use startProcess. These and other
// helpers are at the end of this file.

const (
	sessions    = "/api/sessions"
	connections = "/api/sessions/SessionA/connections"
	sessionA    = `{"customSessionId":"SessionA"}`
)

// exchange is a POST request to this server, OpenVidu's response to it, and what follows from the two.
type exchange struct {
	name     string
	path     string
	body     string
	openvidu http.HandlerFunc // nil if OpenVidu must not be called
	want     string           // status and text of the response
	cause    string           // what the log adds to the text
}

// test compares the whole response, the whole log, and all that OpenVidu received.
func (e exchange) test(t *testing.T) {
	s := start(t, e.openvidu)
	check(t, "response", s.post(t, e.path, e.body), plainText(e.want))
	s.checkLog(t, requestLine(e.path, e.want, e.cause))
	var calls []string
	if e.openvidu != nil {
		calls = append(calls, call(e.path, cmp.Or(e.body, "{}")))
	}
	check(t, "requests to OpenVidu", s.openvidu.received(), strings.Join(calls, "\n"))
}

func TestAPI(t *testing.T) {
	const strange = " {\"a\":1e999,\t\"ключ\" :\"\\u00e9\",\"a\":12345678901234567890}\r\n"
	spaces := func(n int) string { return strings.Repeat(" ", n) }
	for _, e := range []exchange{
		{"session", sessions, sessionA, respond(200, sessionResponse), "200 SessionA", ""},
		{"session without a body", sessions, "", respond(200, sessionResponse), "200 SessionA", ""},
		{"session that is already open", sessions, sessionA, respond(409, ""), "200 SessionA", ""},
		{"the response's ID counts", sessions, `{"customSessionId":"A"}`, respond(200, sessionResponse), "200 SessionA", ""},
		{"the body is passed on unchanged", sessions, strange, respond(200, sessionResponse), "200 SessionA", ""},
		{"the last customSessionId counts", sessions, `{"customSessionId":"A","customSessionId":"B"}`, respond(409, ""), "200 B", ""},
		{"escapes in the name customSessionId", sessions, `{"custom\u0053essionId":"A"}`, respond(409, ""), "200 A", ""},
		{"null as customSessionId", sessions, `{"customSessionId":null}`, respond(200, sessionResponse), "200 SessionA", ""},
		{"connection", connections, `{"role":"PUBLISHER"}`, respond(200, connectionResponse), "200 " + token, ""},
		{"connection without a body", connections, "", respond(200, connectionResponse), "200 " + token, ""},
		{"the customSessionId of a connection isn't checked", connections, `{"customSessionId":5}`, respond(200, connectionResponse), "200 " + token, ""},
		{"IP camera, which needs no token", connections, `{"type":"IPCAM"}`, respond(200, ipcamResponse), "200 ", ""},
		{"IP camera with a token", connections, "", respond(200, `{"type":"IPCAM","token":"a"}`), "200 a", ""},
		{"tokens are plain text", connections, "", respond(200, `{"token":"<html>"}`), "200 <html>", ""},
		{"body of 100 KiB", connections, "{}" + spaces(100*1024-2), respond(200, connectionResponse), "200 " + token, ""},

		{"unknown session", connections, "", respond(404, ""), "404 session not found: create it first with POST /api/sessions", ""},
		{"invalid property", connections, `{"role":"BOSS"}`, respond(400, invalidResponse), "400 Parameter role BOSS is not defined", ""},
		{"OpenVidu's message has two lines", connections, "", respond(400, `{"error":"Bad Request","message":"one\r\n\ttwo"}`), "400 one two", ""},
		{"OpenVidu's message is longer than 300 characters", connections, "", respond(400, `{"error":"Bad Request","message":"too long: `+strings.Repeat("é", 291)+`"}`),
			"400 too long: " + strings.Repeat("é", 290), ""},
		{"OpenVidu's 400 has no message", sessions, "", respond(400, malformedResponse), "400 Bad Request", ""},
		{"malformed JSON", sessions, "{bad", nil, "400 request body must be a JSON object", ""},
		{"JSON array", sessions, "[{}]", nil, "400 request body must be a JSON object", ""},
		{"JSON null", sessions, "null", nil, "400 request body must be a JSON object", ""},
		{"two JSON objects", connections, "{} {}", nil, "400 request body must be a JSON object", ""},
		{"only white space", connections, " \n", nil, "400 request body must be a JSON object", ""},
		{"body that isn't UTF-8", connections, "{\"data\":\"\xc3\"}", nil, "400 request body must be UTF-8", ""},
		{"number as customSessionId", sessions, `{"customSessionId":5}`, nil, "400 customSessionId must be a string of at most 1,000 bytes", ""},
		{"customSessionId of 1,001 characters", sessions, `{"customSessionId":"` + strings.Repeat("a", 1001) + `"}`, nil,
			"400 customSessionId must be a string of at most 1,000 bytes", ""},
		{"array as the last customSessionId", sessions, `{"customSessionId":"A","customSessionId":[]}`, nil, "400 customSessionId must be a string of at most 1,000 bytes", ""},
	} {
		t.Run(e.name, e.test)
	}
}

// Nothing leaks from one request into the response, the call or the log line of the next. OpenVidu gets the
// credentials every time, its cookie from the second time on, and none of the client's headers.
func TestThreeRequests(t *testing.T) {
	f := startFake(t, respondToAll)
	s := startWith(t, f, "OPENVIDU_URL="+f.URL+"/a%2Fb/", "CORS_ALLOWED_ORIGINS=https://a")
	check(t, "first response", s.send(t, request("POST", sessions+"?a=b", sessionA, "Origin: https://b", "Cookie: a=b", "Authorization: Basic Zm9vOmJhcg==",
		"Content-Type: text/plain", "User-Agent: browser", "X-Forwarded-For: 1.2.3.4", "Access-Control-Request-Method: POST")),
		wantResponse(200, "SessionA", "Vary: Origin", "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"))
	check(t, "second response", s.send(t, request("POST", connections, `{"role":"BOSS"}`)),
		wantResponse(400, "Parameter role BOSS is not defined\n", "Vary: Origin", "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"))
	check(t, "third response", s.send(t, request("POST", connections, "", "Origin: https://a")),
		wantResponse(200, token, "Access-Control-Allow-Origin: https://a", "Vary: Origin", "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"))
	s.checkLog(t, `level=INFO msg=request method=POST path=/api/sessions status=200 origin_not_allowed=https://b
level=INFO msg=request method=POST path=/api/sessions/SessionA/connections status=400 error="Parameter role BOSS is not defined"
level=INFO msg=request method=POST path=/api/sessions/SessionA/connections status=200
`)
	header := "Accept-Encoding: gzip\nAuthorization: Basic " + basic + "\nContent-Length: %d\nContent-Type: application/json\n%sUser-Agent: Go-http-client/1.1\n\n"
	check(t, "requests to OpenVidu", s.openvidu.received(),
		"POST /a%2Fb/openvidu/api/sessions\n"+fmt.Sprintf(header, 30, "")+sessionA+"\n"+
			"POST /a%2Fb/openvidu/api/sessions/SessionA/connection\n"+fmt.Sprintf(header, 15, "Cookie: "+cookie+"\n")+`{"role":"BOSS"}`+"\n"+
			"POST /a%2Fb/openvidu/api/sessions/SessionA/connection\n"+fmt.Sprintf(header, 2, "Cookie: "+cookie+"\n")+"{}")
}

// There are two routes. The ServeMux responds to all other paths and methods.
func TestRoutes(t *testing.T) {
	s := start(t, nil)
	notFound, notAllowed := plainText("404 404 page not found"), wantResponse(405, "Method Not Allowed\n", "Access-Control-Allow-Origin: *", "Allow: POST",
		"Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff")
	var wantLog strings.Builder
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/", notFound},
		{"POST", "/api/config", notFound},
		{"POST", "/api/session", notFound},
		{"POST", "/api/sessions/", notFound},
		{"DELETE", "/api/sessions/SessionA", notFound},
		{"GET", sessions, notAllowed},
		{"PUT", connections, notAllowed},
		{"OPTIONS", sessions, notAllowed}, // not a preflight
		{"POST", "/api//sessions", wantResponse(307, "", "Access-Control-Allow-Origin: *", "Location: /api/sessions")},
	} {
		check(t, tt.method+" "+tt.path, s.send(t, request(tt.method, tt.path, "", "Origin: https://a")), tt.want)
		fmt.Fprintf(&wantLog, "level=INFO msg=request method=%s path=%s status=%s\n", tt.method, tt.path, tt.want[:3])
	}
	s.checkLog(t, wantLog.String())
	check(t, "requests to OpenVidu", s.openvidu.received(), "")
}

// OpenVidu receives only IDs that a session can have, of at most 1,000 characters.
func TestSessionIDs(t *testing.T) {
	s := start(t, respondToAll)
	long := strings.Repeat("a", 1000)
	for _, id := range []string{"ses_aB0-9", "-", "_", long} {
		check(t, "response for "+id, s.post(t, "/api/sessions/"+id+"/connections", ""), plainText("200 "+token))
		got, _, _ := strings.Cut(s.openvidu.received(), "\n")
		check(t, "request to OpenVidu", got, "POST /openvidu/api/sessions/"+id+"/connection")
	}
	for _, id := range []string{"%2e", "%2E.", "a.b", "a;b", "a%2Fb", "a%5Cb", "a%25", "a%00", "a%0A", "a%20b", "a%FF", "%C3%B3", long + "a"} {
		check(t, "response for "+id, s.post(t, "/api/sessions/"+id+"/connections", ""),
			plainText("404 session not found: create it first with POST /api/sessions"))
	}
	check(t, "requests to OpenVidu", s.openvidu.received(), "")
}

// While OpenVidu creates a session, identical requests wait for the same call. Any different request makes its own call.
func TestSharedCalls(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		bodies     []string // of concurrent requests
		calls      int
	}{
		{"identical requests", sessions, slices.Repeat([]string{sessionA}, 100), 1},
		{"different properties", sessions, []string{sessionA, sessionA + " ", `{"customSessionId":"SessionA","mediaMode":"ROUTED"}`, `{"customSessionId":"B"}`}, 4},
		{"no customSessionId", sessions, []string{"", "", "{}", `{"customSessionId":null}`, `{"customSessionId":null}`, `{"customSessionId":""}`,
			`{"customSessionId":""}`}, 7},
		{"connections", connections, []string{sessionA, sessionA, "", ""}, 4},
	} {
		var release chan bool
		simulate(t, func(w http.ResponseWriter, r *http.Request) {
			<-release
			respondToAll(w, r)
		}, func(t *testing.T, s *testServer) {
			release = make(chan bool) // in synctest's bubble
			got := make(chan string)
			for _, body := range tt.bodies {
				go func() { got <- s.post(t, tt.path, body) }()
			}
			synctest.Wait()
			check(t, tt.name+": calls", strings.Count(s.openvidu.received(), "POST "), tt.calls)
			close(release)
			want := plainText("200 SessionA")
			if tt.path == connections {
				want = plainText("200 " + token)
			}
			for range tt.bodies {
				check(t, tt.name, <-got, want)
			}
			check(t, tt.name+": log", s.log.lines(), strings.Repeat(requestLine(tt.path, "200", ""), len(tt.bodies)))

			check(t, tt.name+": after the end", s.post(t, tt.path, tt.bodies[0]), want)
			check(t, tt.name+": calls after the end", strings.Count(s.openvidu.received(), "POST "), 1)
		})
	}
}

// Whichever client disconnects, the others get the result. When the last one has disconnected, the call is cancelled.
func TestSharedCallDisconnects(t *testing.T) {
	const disconnected = `level=INFO msg=request method=POST path=/api/sessions status=499 error="client disconnected"` + "\n"
	for _, first := range []int{0, 1} { // which of two clients disconnects first; client 0 started the call
		var release, cancelled chan bool
		simulate(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
				respondToAll(w, r)
			case <-r.Context().Done():
				close(cancelled)
			}
		}, func(t *testing.T, s *testServer) {
			release, cancelled = make(chan bool), make(chan bool)
			connect := func() net.Conn {
				c := s.dial(t)
				io.WriteString(c, request("POST", sessions, sessionA))
				synctest.Wait()
				return c
			}
			clients := []net.Conn{connect(), connect()}
			clients[first].Close()
			synctest.Wait()
			s.checkLog(t, disconnected)
			release <- true
			check(t, "response to the other client", readResponse(bufio.NewReader(clients[1-first]), "POST"), plainText("200 SessionA"))

			clients = []net.Conn{connect(), connect()}
			s.openvidu.received()
			clients[first].Close()
			clients[1-first].Close()
			before := time.Now()
			<-cancelled
			check(t, "time until the call is cancelled", time.Since(before), 0)
			synctest.Wait()
			s.checkLog(t, disconnected+requestLine(sessions, "200", "")+disconnected+disconnected)
			check(t, "requests to OpenVidu after the end", s.openvidu.received(), "")
		})
	}
}

// A cancelled call that hasn't ended yet is left alone: the next request makes a new call, which others share.
func TestSharedCallAfterCancelledCall(t *testing.T) {
	simulate(t, nil, func(t *testing.T, s *testServer) {
		calls := 0
		s.ov.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			calls++
			if calls == 1 {
				time.Sleep(10 * time.Second) // in spite of the cancellation
				return nil, r.Context().Err()
			}
			time.Sleep(20*time.Second - time.Nanosecond)
			resp := httptest.NewRecorder()
			respondToAll(resp, r)
			return resp.Result(), nil
		})
		c := s.dial(t)
		io.WriteString(c, request("POST", sessions, sessionA))
		synctest.Wait()
		c.Close()
		synctest.Wait()
		got := make(chan string)
		for range 2 {
			go func() { got <- s.post(t, sessions, sessionA) }()
			time.Sleep(15 * time.Second) // until the first call has ended
		}
		check(t, "first response", <-got, plainText("200 SessionA"))
		check(t, "second response", <-got, plainText("200 SessionA"))
		check(t, "calls", calls, 2)
	})
}

// If a shared call fails, all who wait for it get the error, and their log lines have the reason. If it times out, one of those who
// wait makes it again, until their own 30 s are over.
func TestSharedCallFails(t *testing.T) {
	for _, tt := range []struct {
		name      string
		openvidu  http.HandlerFunc
		transport http.RoundTripper // nil for the program's
		want      string
		wantLog   string // pattern
	}{
		{"failure", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(15 * time.Second)
			respond(503, "")(w, r)
		}, nil, "502 OpenVidu failed: check that it is running and see its log", "status=502 .* see its log: status 503"},
		{"timeout", hang(""), nil, "504 OpenVidu timed out: try again, or check OPENVIDU_URL", "status=504 duration=30s "},
		{"panic", nil, roundTripper(func(*http.Request) (*http.Response, error) {
			time.Sleep(15 * time.Second)
			panic("a bug")
		}), "500 internal server error: see this server's log", "status=500 .* error=.*: panic in a shared call"},
	} {
		simulate(t, tt.openvidu, func(t *testing.T, s *testServer) {
			if tt.transport != nil {
				s.ov.client.Transport = tt.transport
			}
			got := []chan string{make(chan string), make(chan string)}
			for _, c := range got {
				go func() { c <- s.post(t, sessions, sessionA) }()
				time.Sleep(10 * time.Second)
			}
			first, lines := plainText(tt.want), 2
			if tt.name == "panic" { // net/http closes the connection of the request that makes the call
				first, lines = "unexpected EOF", 1
			}
			check(t, tt.name, <-got[0], first)
			check(t, tt.name, <-got[1], plainText(tt.want))
			if n := len(regexp.MustCompile("level=ERROR .*"+tt.wantLog).FindAllString(s.log.String(), -1)); n != lines {
				t.Errorf("%s: got %d such lines, want %d of %s in\n%s", tt.name, n, lines, tt.wantLog, s.log)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Pages from the allowed origins, and no others, can read every response.
func TestCORS(t *testing.T) {
	const plain = "Content-Type: text/plain; charset=utf-8\nX-Content-Type-Options: nosniff"
	preflight := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type", "Access-Control-Request-Headers: x-a, x-b"}
	allowed := []string{"Access-Control-Allow-Methods: POST", "Access-Control-Allow-Headers: content-type", "Access-Control-Allow-Headers: x-a, x-b",
		"Access-Control-Max-Age: 7200"}
	for _, tt := range []struct {
		setting, origin string
		want            []string // header of every response
		wantLog         string
	}{
		{"*", "", []string{"Access-Control-Allow-Origin: *"}, ""},
		{"*", "null", []string{"Access-Control-Allow-Origin: *"}, ""},
		{"*", "file://", []string{"Access-Control-Allow-Origin: *"}, ""},
		{"*", "https://a", []string{"Access-Control-Allow-Origin: *"}, ""},
		{"https://a,http://localhost:8080", "https://a", []string{"Access-Control-Allow-Origin: https://a", "Vary: Origin"}, ""},
		{"https://a,http://localhost:8080", "http://localhost:8080", []string{"Access-Control-Allow-Origin: http://localhost:8080", "Vary: Origin"}, ""},
		{"https://a,http://localhost:8080", "", []string{"Vary: Origin"}, ""},
		{"https://a", "http://localhost:5000", []string{"Vary: Origin"}, ""}, // this server's own, which needs no permission
		{"https://a", "https://localhost:5000", []string{"Vary: Origin"}, ""},
		{"https://a", "http://localhost", []string{"Vary: Origin"}, " origin_not_allowed=http://localhost"},
		{"https://a", "null", []string{"Vary: Origin"}, " origin_not_allowed=null"},
		{"https://a", "http://a", []string{"Vary: Origin"}, " origin_not_allowed=http://a"},
		{"https://a", "https://A", []string{"Vary: Origin"}, " origin_not_allowed=https://A"},
		{"https://a", "https://a.evil.org", []string{"Vary: Origin"}, " origin_not_allowed=https://a.evil.org"},
		{"https://a", "https://b.a", []string{"Vary: Origin"}, " origin_not_allowed=https://b.a"},
		{"https://a,https://b", "https://a,https://b", []string{"Vary: Origin"}, " origin_not_allowed=https://a,https://b"},
	} {
		t.Run(fmt.Sprintf("origin %q, allowed %q", tt.origin, tt.setting), func(t *testing.T) {
			s := start(t, respondToAll, "CORS_ALLOWED_ORIGINS="+tt.setting)
			origin := []string{"Cookie: a=b"}
			if tt.origin != "" {
				origin = append(origin, "Origin: "+tt.origin)
			}
			check(t, "session", s.send(t, request("POST", sessions, "", origin...)), wantResponse(200, "SessionA", append(tt.want, plain)...))
			check(t, "error", s.send(t, request("POST", "/nowhere", "", origin...)), wantResponse(404, "404 page not found\n", append(tt.want, plain)...))
			check(t, "preflight", s.send(t, request("OPTIONS", sessions, "", append(preflight, origin...)...)), wantResponse(204, "", append(allowed, tt.want...)...))
			s.checkLog(t, "level=INFO msg=request method=POST path=/api/sessions status=200"+tt.wantLog+"\n"+
				"level=INFO msg=request method=POST path=/nowhere status=404"+tt.wantLog+"\n"+
				"level=INFO msg=request method=OPTIONS path=/api/sessions status=204"+tt.wantLog+"\n")
			check(t, "requests to OpenVidu", s.openvidu.received(), call(sessions, "{}"))
		})
	}
}

// logins contains the session that each login may view, or "*" if it may do everything.
var logins = map[string]string{"Bearer presenter": "*", "Bearer viewer": "SessionA"}

// authorize rejects requests without a login. Whatever viewers send, they open their session without properties of
// their own and join it as SUBSCRIBER.
func authorize(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, ok := logins[r.Header.Get("Authorization")] // replace this with your own check
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, r, httpError{http.StatusUnauthorized, "log in first"})
			return
		}
		if session != "*" {
			properties := `{"role":"SUBSCRIBER"}`
			switch r.Method + " " + r.URL.Path {
			case "POST /api/sessions":
				properties = `{"customSessionId":"` + session + `"}` // A-Z, a-z, 0-9, _ and - need no escapes in JSON
			case "POST /api/sessions/" + session + "/connections":
			default:
				fail(w, r, httpError{http.StatusForbidden, "viewers can only join " + session})
				return
			}
			r.Body = io.NopCloser(strings.NewReader(properties))
		}
		api.ServeHTTP(w, r)
	})
}

// authorize is the README's example of a login, and does what the README says.
func TestAuthorize(t *testing.T) {
	_, example, _ := strings.Cut(read(t, "README.md"), "```go\n")
	example, _, _ = strings.Cut(example, "```")
	if example == "" || !strings.Contains(read(t, "handlers_test.go")+read(t, "handlers.go"), example) {
		t.Errorf("the Go files don't contain the README's example\n%s", example)
	}

	s := start(t, respondToAll)
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	server := httptest.NewServer(newHandler(authorize(newAPI(s.ov)), "", []string{"https://a"}, logger))
	defer server.Close()
	s.dial = dialer(server.Listener.Addr().String())

	const moderator = `{"role":"MODERATOR","type":"IPCAM","rtspUri":"rtsp://camera","record":true}`
	const viewer = `{"role":"SUBSCRIBER"}`
	header := []string{"Access-Control-Allow-Origin: https://a", "Content-Type: text/plain; charset=utf-8", "Vary: Origin", "X-Content-Type-Options: nosniff"}
	rejected := wantResponse(401, "log in first\n", append(header, "Www-Authenticate: Bearer")...)
	for _, tt := range []struct{ path, body, login, want, wantCall string }{
		{connections, moderator, "", rejected, ""},
		{connections, moderator, "Bearer x", rejected, ""},
		{sessions, sessionA, "", rejected, ""},
		{connections, moderator, "Bearer viewer", wantResponse(200, token, header...), viewer},
		{strings.Replace(connections, "c", "%63", 1), moderator, "Bearer viewer", wantResponse(200, token, header...), viewer},
		{connections, "", "Bearer viewer", wantResponse(200, token, header...), viewer},
		{sessions, moderator, "Bearer viewer", wantResponse(200, "SessionA", header...), sessionA},
		{"/api/sessions/SessionB/connections", "", "Bearer viewer", wantResponse(403, "viewers can only join SessionA\n", header...), ""},
		{connections, moderator, "Bearer presenter", wantResponse(200, token, header...), moderator},
	} {
		check(t, tt.path+" "+tt.login, s.send(t, request("POST", tt.path, tt.body, "Origin: https://a", "Authorization: "+tt.login)), tt.want)
		got := s.openvidu.received()
		check(t, tt.path+" "+tt.login+": properties", got[strings.LastIndex(got, "\n")+1:], tt.wantCall)
	}
	sent := strings.NewReader(moderator)
	r := httptest.NewRequest("POST", connections, sent)
	r.Header.Set("Authorization", "Bearer viewer")
	discardBody(authorize(http.NotFoundHandler())).ServeHTTP(httptest.NewRecorder(), r)
	check(t, "bytes of the viewer's body that are left unread", sent.Len(), 0)
	check(t, "preflight", s.send(t, request("OPTIONS", sessions, "", "Origin: https://a", "Access-Control-Request-Method: POST"))[:3], "204")
	if want := requestLine(connections, "401 log in first", ""); !strings.HasPrefix(s.log.lines(), want) {
		t.Errorf("got log %s, want %s", s.log.lines(), want)
	}
}

// With STATIC_DIR, the frontend's public files are served at /, and everything under /api/ is still the API's.
func TestFiles(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "public")
	modified := time.Date(2026, 1, 2, 3, 4, 5, 1000, time.UTC)
	for _, name := range []string{"public/index.html", "public/app.js", "public/a b/index.html", "public/docs/index.html", "public/docs/.private/a.html", "public/docs/.htaccess",
		"public/list/a.html", "public/.env", "public/._x.html", `public/list\.b.html`, "public/vendors~main~12345678.js", "public/.well-known/a.html", "public/api/index.html", "secret.html", "secret/index.html"} {
		path := filepath.Join(parent, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(name), 0o600), os.Chtimes(path, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	linked := errors.Join(os.Symlink("index.html", filepath.Join(dir, "inside.html")), os.Symlink("../secret.html", filepath.Join(dir, "outside.html")),
		os.Symlink("../secret", filepath.Join(dir, "outside")))
	if linked != nil && runtime.GOOS != "windows" { // where symbolic links need a privilege
		t.Fatal(linked)
	}

	file := func(status int, body, name string, header ...string) string {
		etag := fmt.Sprintf(`Etag: "%x-%x"`, modified.UnixNano(), len(name)) // each file contains its name
		return wantResponse(status, body, append(header, "Accept-Ranges: bytes", "Access-Control-Allow-Origin: *", "Cache-Control: no-cache", etag,
			"Content-Type: "+mime.TypeByExtension(path.Ext(name)), "Last-Modified: Fri, 02 Jan 2026 03:04:05 GMT")...)
	}
	moved := func(location string) string {
		return wantResponse(301, `<a href="`+location+"\">Moved Permanently</a>.\n\n", "Access-Control-Allow-Origin: *", "Cache-Control: no-cache",
			"Content-Type: text/html; charset=utf-8", "Location: "+location)
	}
	notAllowed := func(allow string) string {
		return wantResponse(405, "Method Not Allowed\n", "Access-Control-Allow-Origin: *", "Allow: "+allow, "Content-Type: text/plain; charset=utf-8",
			"X-Content-Type-Options: nosniff")
	}
	notFound := wantResponse(404, "404 page not found\n", "Access-Control-Allow-Origin: *", "Cache-Control: no-cache", "Content-Type: text/plain; charset=utf-8",
		"X-Content-Type-Options: nosniff")
	s := start(t, respondToAll, "STATIC_DIR="+dir)
	requests := 0
	for _, tt := range []struct{ method, path, header, want string }{
		{"GET", "/", "", file(200, "public/index.html", "public/index.html")},
		{"GET", "/?a=b", "", file(200, "public/index.html", "public/index.html")},
		{"GET", "/app.js", "", file(200, "public/app.js", "public/app.js")},
		{"GET", "/docs/", "", file(200, "public/docs/index.html", "public/docs/index.html")},
		{"GET", "/docs?a=b", "", moved("/docs/?a=b")},
		{"GET", "/a%20b", "", moved("/a%20b/")},
		{"GET", "/index.html", "", file(200, "public/index.html", "public/index.html")},
		{"GET", "/vendors~main~12345678.js", "", file(200, "public/vendors~main~12345678.js", "public/vendors~main~12345678.js")},
		{"GET", "/docs/", "Range: bytes=7-10", file(206, "docs", "public/docs/index.html", "Content-Range: bytes 7-10/22")},
		{"HEAD", "/docs/", "", file(200, "", "public/docs/index.html", "Content-Length: 22")},
		{"GET", "/", "If-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT", "304\nAccess-Control-Allow-Origin: *\nCache-Control: no-cache\n" +
			fmt.Sprintf(`Etag: "%x-11"`, modified.UnixNano()) + "\n\n"},
		{"GET", "/", `If-None-Match: "older"`, file(200, "public/index.html", "public/index.html")},
		{"POST", "/", "", notAllowed("GET, HEAD")},
		{"DELETE", "/docs/index.html", "", notAllowed("GET, HEAD")},

		{"GET", "/nothing.html", "", notFound},
		{"GET", "/index.html/", "", notFound},
		{"GET", "/list", "", moved("/list/")}, // a directory without index.html
		{"GET", "/list/", "", notFound},
		{"HEAD", "/list/", "", strings.TrimSuffix(notFound, "404 page not found\n")},
		{"GET", "/.env", "", notFound},
		{"GET", "/%2eenv", "", notFound},
		{"GET", "/list%5C.b.html", "", notFound},
		{"GET", "/._x.html", "", notFound},
		{"GET", "/.well-known/a.html", "", notFound},
		{"GET", "/docs/.private/a.html", "", notFound},
		{"GET", "/docs%2F.htaccess", "", notFound},
		{"GET", "/../secret.html", "", wantResponse(307, "<a href=\"/secret.html\">Temporary Redirect</a>.\n\n", "Access-Control-Allow-Origin: *",
			"Content-Type: text/html; charset=utf-8", "Location: /secret.html")}, // the ServeMux removes ..
		{"GET", "/%2e%2e/secret.html", "", notFound},
		{"GET", "/..%2Fsecret.html", "", notFound},
		{"GET", "/..%5Csecret.html", "", notFound},
		{"GET", "/docs/%2e%2e/%2e%2e/secret.html", "", notFound},
		{"GET", "/docs%5C..%5C..%5Csecret.html", "", notFound},
		{"GET", "/%00", "", notFound},
		{"GET", "/outside.html", "", notFound},
		{"GET", "/outside/", "", notFound},
		{"GET", "/outside", "", notFound},

		{"POST", sessions, "", plainText("200 SessionA")},
		{"GET", sessions, "", notAllowed("POST")},
		{"GET", "/api/", "", plainText("404 404 page not found")},
		{"GET", "/api/index.html", "", plainText("404 404 page not found")},
	} {
		var header []string
		if tt.header != "" {
			header = []string{tt.header}
		}
		check(t, tt.method+" "+tt.path+" "+tt.header, s.send(t, request(tt.method, tt.path, "", header...)), tt.want)
		requests++
	}
	check(t, "lines in the log", strings.Count(s.log.lines(), "level=INFO msg=request method="), requests)

	if linked == nil {
		check(t, "symbolic link within the directory", s.send(t, request("GET", "/inside.html", "")), file(200, "public/index.html", "public/index.html"))
	}

	// Edited, added and recreated files are served.
	for _, content := range []string{"edited", "", "recreated"} {
		if content == "" {
			check(t, "removal", os.RemoveAll(dir), nil)
			check(t, "removed directory", s.send(t, request("GET", "/", "")), notFound)
			check(t, "file in place of the directory", os.WriteFile(dir, nil, 0o600), nil)
			check(t, "file in place of the directory", s.send(t, request("GET", "/", "")), notFound)
			os.Remove(dir)
			continue
		}
		os.Mkdir(dir, 0o700)
		for _, name := range []string{"index.html", content + ".html"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			got := s.send(t, request("GET", "/"+strings.TrimPrefix(name, "index.html"), ""))
			if !strings.HasPrefix(got, "200\n") || !strings.HasSuffix(got, "\n\n"+content) {
				t.Errorf("%s, %s: got\n%s", name, content, got)
			}
		}
	}
}

// A download has 10 min to reach a slow client.
func TestSlowDownload(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bundle.js"), make([]byte, 3_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		takes time.Duration
		want  bool // the whole file arrives
	}{
		{50 * time.Second, true},
		{9 * time.Minute, true},
		{11 * time.Minute, false},
	} {
		simulate(t, nil, func(t *testing.T, s *testServer) {
			c := s.dial(t)
			defer c.Close()
			io.WriteString(c, request("GET", "/bundle.js", ""))
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			for range 100 {
				time.Sleep(tt.takes / 100)
				read, _ := io.CopyN(io.Discard, resp.Body, 30_000)
				n += read
			}
			check(t, fmt.Sprint("whole file within ", tt.takes), n == 3_000_000, tt.want)
		}, "STATIC_DIR="+dir)
	}
}

func TestSettings(t *testing.T) {
	type input struct{ env, dotenv string } // lines NAME=value
	for _, tt := range []struct {
		inputs []input // with the same result
		want   string  // port, URL, secret and its source, certificate verification skipped, origins, unknown names
	}{
		{[]input{{}}, "5000 http://localhost:4443/ MY_SECRET (default) false [*] []"},
		{[]input{{env: "SERVER_PORT=0"}}, "0 http://localhost:4443/ MY_SECRET (default) false [*] []"},
		{[]input{{env: "OPENVIDU_SECRET=env"}, {env: "OPENVIDU_SECRET= env\t"}, {env: "OPENVIDU_SECRET=env", dotenv: "OPENVIDU_SECRET=file"}},
			"5000 http://localhost:4443/ env (from the environment) false [*] []"},
		{[]input{
			{dotenv: "OPENVIDU_SECRET=file"},
			{env: "OPENVIDU_SECRET=\nSERVER_PORT= ", dotenv: "OPENVIDU_SECRET=file\nSERVER_PORT=\nOPENVIDU_URL=''"},
		}, "5000 http://localhost:4443/ file (from .env) false [*] []"},
		{[]input{{env: "OPENVIDU_URL=https://a/b/openvidu/apis", dotenv: "SERVER_PORT=65535\nOPENVIDU_TLS_SKIP_VERIFY=1"}},
			"65535 https://a/b/openvidu/apis MY_SECRET (default) true [*] []"},
		{[]input{{env: "CORS_ALLOWED_ORIGINS=https://a:80, http://[::1]:443 ,capacitor://a,file://,app://.,http://xn--a.b.:65535"}},
			"5000 http://localhost:4443/ MY_SECRET (default) false [https://a:80 http://[::1]:443 capacitor://a file:// app://. http://xn--a.b.:65535] []"},
		{[]input{{dotenv: "Z=1\nCORS_ALLOWED_ORIGIN=https://a\nZ=2\nOPENVIDU_SECRET=\n"}},
			"5000 http://localhost:4443/ MY_SECRET (default) false [*] [CORS_ALLOWED_ORIGIN Z]"},
	} {
		for _, in := range tt.inputs {
			cfg, err := loadConfig(getenv(strings.Split(in.env, "\n")...), files(".env", in.dotenv))
			if err != nil {
				t.Errorf("%q: got %v, want no error", in, err)
				continue
			}
			got := fmt.Sprint(cfg.port, " ", cfg.openviduURL, " ", cfg.secret, " (", cfg.secretSource, ") ", cfg.tlsSkipVerify, " ", cfg.origins, " ", cfg.unknown)
			check(t, fmt.Sprintf("%q", in), got, tt.want)
		}
	}
}

// A mistake is reported with the setting's name, where the value comes from and what is wrong, but without a value that may be secret.
func TestInvalidSettings(t *testing.T) {
	const (
		noURL    = "must be an http or https URL with a host, such as http://localhost:4443/"
		noOrigin = "must be an origin such as https://example.com, in lower case, without a path, a trailing slash or the default port"
	)
	for _, tt := range []struct {
		name   string
		values []string
		want   string
	}{
		{"SERVER_PORT", []string{"65536", "http", "-1", "+1", "80:80", "0x1388", "1_0"}, "must be a number from 0 to 65535"},
		{"OPENVIDU_URL", []string{"localhost:4443", "http://:4443/", "//a", "ftp://a", "http://a:hidden@ b"}, noURL},
		{"OPENVIDU_URL", []string{"http://a:hidden@b", "http://hidden@b", "http://@b", "http://a:1/hidden@b", "http://a?hidden", "http://a/?", "http://a/#hidden"},
			"must not include credentials, a query or a fragment"},
		{"OPENVIDU_URL", []string{"http://a/openvidu/api", "http://a/openvidu/api/", "http://a/b/openvidu/api/sessions"}, "must not include /openvidu/api"},
		{"OPENVIDU_URL", []string{"http://localhost:44433333", "https://[::1]:65536/", "http://localhost:0", "http://localhost:00"}, "the port must be from 1 to 65535"},
		{"OPENVIDU_TLS_SKIP_VERIFY", []string{"yes", "on"}, "must be true or false"},
		{"CORS_ALLOWED_ORIGINS", []string{"*,https://a", "https://a,*"}, `"*": * must stand alone`},
		{"CORS_ALLOWED_ORIGINS", []string{"https://*.a"}, `"https://*.a": * must stand alone`},
		{"CORS_ALLOWED_ORIGINS", []string{"https://a/,https://b", "https://b, https://a/"}, `"https://a/" ` + noOrigin},
	} {
		for _, value := range tt.values {
			_, err := loadConfig(getenv(tt.name+"="+value), nothing)
			check(t, tt.name+"="+value, fmt.Sprint(err), tt.name+" (from the environment): "+tt.want)
		}
	}
	for _, origin := range []string{"null", "example.com", "localhost:8080", "https://A", "HTTPS://a", "https://a/b", "https://a?b", "https://a?", "https://a#b",
		"https://a#", "https://b@a", "http://a:80", "https://a:443", "https://[::1]:443", "https://a https://b", "https://a;https://b", "https://[::1", ","} {
		_, err := loadConfig(getenv("CORS_ALLOWED_ORIGINS="+origin), nothing)
		check(t, "CORS_ALLOWED_ORIGINS="+origin, fmt.Sprint(err), fmt.Sprintf("CORS_ALLOWED_ORIGINS (from the environment): %q %s", strings.Trim(origin, ","), noOrigin))
	}

	for _, dir := range []string{"nowhere", "go.mod"} {
		_, err := loadConfig(getenv("STATIC_DIR="+dir), nothing)
		if want := "STATIC_DIR (from the environment): must be a directory: open " + dir + ": "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("STATIC_DIR=%s: got %v, want %s", dir, err, want)
		}
	}

	// All mistakes are reported at once.
	_, err := loadConfig(getenv("SERVER_PORT=x", "OPENVIDU_URL=x"), files(".env", "x\n#\ny\nOPENVIDU_TLS_SKIP_VERIFY=x"))
	check(t, "several mistakes", fmt.Sprint(err), ".env:1: must be NAME=VALUE\n.env:3: must be NAME=VALUE\n"+
		"SERVER_PORT (from the environment): must be a number from 0 to 65535\nOPENVIDU_URL (from the environment): "+noURL+"\n"+
		"OPENVIDU_TLS_SKIP_VERIFY (from .env): must be true or false")
	if _, err := loadConfig(getenv(), files(".env/a", "")); err == nil || !strings.Contains(err.Error(), ".env") {
		t.Errorf(".env is a directory: got %v, want an error", err)
	}
}

func TestDotenv(t *testing.T) {
	const (
		quoting = ".env:1: invalid quoting: put the value in single or double quotes that it doesn't contain"
		noPair  = ".env:1: must be NAME=VALUE"
		noUTF8  = ".env must be UTF-8"
	)
	for _, tt := range []struct {
		want  string // the secret or the error
		texts []string
	}{
		{"a", []string{"OPENVIDU_SECRET=a", "\ufeffOPENVIDU_SECRET=a", "OPENVIDU_SECRET=a\r\nSERVER_PORT=1\r\n", "export OPENVIDU_SECRET=a",
			"\n  \n# x\n  # OPENVIDU_SECRET=b\nOPENVIDU_SECRET=a", "  export\tOPENVIDU_SECRET = a  ", "other.name-1=x\nOPENVIDU_SECRET=a",
			"OPENVIDU_SECRET=b\nOPENVIDU_SECRET=a", "OPENVIDU_SECRET=a # b", "OPENVIDU_SECRET=a\t# b", "OPENVIDU_SECRET='a'# b", "OPENVIDU_SECRET=a #"}},
		{"a b", []string{"OPENVIDU_SECRET =\ta b "}},
		{"a=b==", []string{"OPENVIDU_SECRET=a=b=="}},
		{"a# b", []string{"OPENVIDU_SECRET=a# b", "OPENVIDU_SECRET=a# b # c"}},
		{"#b", []string{"OPENVIDU_SECRET=#b"}},
		{"a # b", []string{`OPENVIDU_SECRET="a # b"`}},
		{` a "b" `, []string{`OPENVIDU_SECRET=' a "b" ' # c`}},
		{`a\n$b`, []string{`OPENVIDU_SECRET="a\n$b"`}},
		{"MY_SECRET", []string{"OPENVIDU_SECRET=", "OPENVIDU_SECRET= # b", "OPENVIDU_SECRET=\t# b", `OPENVIDU_SECRET=""`, "OPENVIDU_SECRET=a\nOPENVIDU_SECRET="}},
		{noPair, []string{"hidden", "=hidden", "export", "OPENVIDU_SECRET hidden=a", "OPENVIDU_SECRET: hidden=a", "OPENVIDU_SECRET:hidden=a", `"OPENVIDU_SECRET"=hidden`}},
		{quoting, []string{`OPENVIDU_SECRET="hidden`, `OPENVIDU_SECRET='hidden"`, "OPENVIDU_SECRET='", `OPENVIDU_SECRET="hidden" a`,
			`OPENVIDU_SECRET="p"hidden"`, `OPENVIDU_SECRET=" # hidden`}},
		{noUTF8, []string{"\xff\xfeO\x00=\x00a\x00\n\x00b\x00", "\xfe\xff\x00O\x00=\x00a", "OPENVIDU_SECRET=hidden\xfc"}},
	} {
		for _, text := range tt.texts {
			cfg, err := loadConfig(getenv(), files(".env", text))
			if err != nil {
				check(t, text, err.Error(), tt.want)
			} else {
				check(t, text, cfg.secret, tt.want)
			}
		}
	}
}

// Errors contain no text from .env. Quoted text is literal.
func FuzzDotenv(f *testing.F) {
	f.Add("a # b\x00\xff\"")
	f.Add("'\nB=\"")
	messages := []string{"must be NAME=VALUE", "invalid quoting: put the value in single or double quotes that it doesn't contain"}
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, err := parseAssignment(text); err != nil && !slices.Contains(messages, err.Error()) {
			t.Errorf("got error %q, want one of %q", err, messages)
		}
		if !utf8.ValidString(text) || strings.ContainsAny(text, "'\n") || text == "" {
			return
		}
		if cfg, err := loadConfig(getenv(), files(".env", "X=1\nOPENVIDU_SECRET='"+text+"' # c")); err != nil || cfg.secret != text {
			t.Errorf("quoted text: got %v, %v, want %q", cfg, err, text)
		}
	})
}

// -h, .env.example and the README state the same settings and defaults, and .env.example is valid.
func TestDocumentedSettings(t *testing.T) {
	var usage strings.Builder
	printUsage(&usage)
	example, readme := read(t, ".env.example"), read(t, "README.md")
	for _, s := range settings {
		value := "`" + s.defaultValue + "`"
		if s.defaultValue == "" {
			value = "none"
		}
		for _, doc := range []struct{ name, text, want string }{
			{"-h", usage.String(), fmt.Sprintf("  %-24s  %s (default %s)\n", s.name, s.usage, strings.Trim(value, "`"))},
			{".env.example", example, "\n" + s.name + "=" + s.defaultValue + "\n"},
			{"README.md", readme, "\n| `" + s.name + "` | " + value + " |"},
		} {
			if !strings.Contains(doc.text, doc.want) {
				t.Errorf("%s doesn't contain %q", doc.name, doc.want)
			}
		}
	}
	defaults, _ := loadConfig(getenv(), nothing)
	got, err := loadConfig(getenv(), files(".env", example))
	if err != nil {
		t.Fatalf(".env.example: got %v, want no error", err)
	}
	got.secretSource = defaults.secretSource
	check(t, "settings of .env.example", got, defaults)
}

// Each fault of OpenVidu has a message that says what to check. The log adds the cause.
func TestOpenViduFaults(t *testing.T) {
	const (
		credentials = "502 OpenVidu rejected the credentials: check OPENVIDU_SECRET"
		forbidden   = "502 OpenVidu denied access: check OPENVIDU_URL and OpenVidu's ALLOWED_ACCESS_TO_RESTAPI"
		noAPI       = "502 no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"
		failed      = "502 OpenVidu failed: check that it is running and see its log"
		unexpected  = "502 unexpected response from OpenVidu: check OPENVIDU_URL"
		unreachable = "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
		chunked     = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	)
	post := `: Post "http://127.0.0.1:PORT/openvidu/api/sessions": `
	padded := func(length int) string { return sessionResponse + strings.Repeat(" ", length-len(sessionResponse)) }
	redirect := func(status int) http.HandlerFunc { return http.RedirectHandler("/", status).ServeHTTP }
	for _, e := range []exchange{
		{"wrong secret", sessions, "", respond(401, unauthorizedResponse), credentials, ""},
		{"wrong secret, OpenVidu 2.32", connections, "", respond(401, ""), credentials, ""},
		{"wrong path, OpenVidu 2.32", sessions, "", respond(403, ""), forbidden, ""},
		{"403 from nginx", connections, "", respond(403, htmlResponse), forbidden, ""},
		{"wrong path for a connection", connections, "", respond(404, notFoundResponse), noAPI, ": status 404"},
		{"wrong path for a session", sessions, "", respond(404, notFoundResponse), noAPI, ": status 404"},
		{"empty 404 for a session", sessions, "", respond(404, ""), noAPI, ": status 404"},
		{"400 from Tomcat", sessions, "", respond(400, htmlResponse), noAPI, ": status 400"},
		{"400 from an HTTPS port", connections, "", respond(400, "Client sent an HTTP request to an HTTPS server.\n"), noAPI, ": status 400"},
		{"400 from another API", sessions, "", respond(400, `{"message":"a"}`), noAPI, ": status 400"},
		{"redirect to HTTPS", sessions, "", redirect(301), noAPI, ": status 301"},
		{"redirect of a POST", connections, "", redirect(307), noAPI, ": status 307"},
		{"500", connections, "", respond(500, internalResponse), failed, ": status 500"},
		{"502 from nginx", connections, "", respond(502, htmlResponse), failed, ": status 502"},
		{"503", sessions, sessionA, respond(503, ""), failed, ": status 503"},
		{"504", connections, "", respond(504, ""), failed, ": status 504"},
		{"409 without a customSessionId", sessions, `{"customSessionId":null}`, respond(409, ""), unexpected, ": status 409"},
		{"409 with CustomSessionId in the wrong case", sessions, `{"CustomSessionId":"A"}`, respond(409, ""), unexpected, ": status 409"},
		{"409 for a connection", connections, sessionA, respond(409, ""), unexpected, ": status 409"},
		{"423 for an open session", sessions, sessionA, respond(423, ""), unexpected, ": status 423"},
		{"201", sessions, "", respond(201, sessionResponse), unexpected, ": status 201"},
		{"HTML from another server", sessions, "", respond(200, htmlResponse), unexpected, ": invalid character '<' looking for beginning of value"},
		{"empty response", connections, "", respond(200, ""), unexpected, ": unexpected end of JSON input"},
		{"number as the session ID", sessions, "", respond(200, `{"id":5}`), unexpected,
			": json: cannot unmarshal number into Go struct field .id of type string"},
		{"array instead of a connection", connections, "", respond(200, "[]"), unexpected,
			": json: cannot unmarshal array into Go value of type struct { Token string \"json:\\\"token\\\"\"; Type string \"json:\\\"type\\\"\" }"},
		{"response without a session ID", sessions, "", respond(200, configResponse), unexpected, ": no session ID"},
		{"response without a token", connections, "", respond(200, sessionResponse), unexpected, ": no token"},
		{"response of 1 MiB", sessions, "", respond(200, padded(1<<20)), "200 SessionA", ""},
		{"response of 1 MiB and a byte", sessions, "", respond(200, padded(1<<20+1)), unexpected, ": larger than 1 MiB"},
		{"no response", sessions, "", write(""), unreachable, post + "EOF"},
		{"no response, shared call", sessions, sessionA, write(""), unreachable, post + "EOF"},
		{"truncated body", sessions, "", write("HTTP/1.1 200 OK\r\nContent-Length: 535\r\n\r\n" + sessionResponse[:500]), unexpected, ": unexpected EOF"},
		{"invalid chunk", sessions, "", write(chunked + "x\r\n" + token), unexpected, ": invalid byte in chunk length"},
		{"SSH server", sessions, "", write("SSH-2.0-OpenSSH_9.2\r\n"), unreachable,
			post + `net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		{"header of 65 KiB", sessions, "", write("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"), unreachable,
			post + "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes; aborted"},
	} {
		t.Run(e.name, e.test)
	}

	s := start(t, nil, "OPENVIDU_URL=http://127.0.0.1:1") // nothing listens on port 1
	check(t, "OpenVidu is down", s.post(t, sessions, ""), plainText(unreachable))
	if !regexp.MustCompile(`^level=ERROR .* status=502 error="cannot reach OpenVidu: .*: Post .*: dial tcp 127.0.0.1:PORT: .*"\n$`).MatchString(s.log.lines()) {
		t.Errorf("OpenVidu is down: got log %s", s.log.lines())
	}
	s.ov.api = "://" // a bug
	check(t, "bug", s.post(t, sessions, ""), plainText("500 internal server error: see this server's log"))
	if !strings.HasSuffix(s.log.lines(), `status=500 error="internal server error: see this server's log: parse \":///sessions\": missing protocol scheme"`+"\n") {
		t.Errorf("bug: got log %s", s.log.lines())
	}
}

// OpenVidu gets each POST once, even if it closes the connection without a response and other connections are idle. A second request
// for an IP camera would add the camera twice.
func TestOneExecution(t *testing.T) {
	var idle sync.WaitGroup
	idle.Add(10)
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openvidu/api/sessions" {
			write("")(w, r)
			return
		}
		idle.Done()
		idle.Wait() // so that there are 10 connections
		respond(200, connectionResponse)(w, r)
	})
	s.concurrently(t, 10, connections, "", "200 "+token)
	s.openvidu.received()
	check(t, "response", s.post(t, sessions, ""), plainText("502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"))
	check(t, "number of requests", strings.Count(s.openvidu.received(), "POST "), 1)
}

// An endless response is read up to 1 MiB, not until the call times out.
func TestEndlessResponse(t *testing.T) {
	var sent atomic.Int64
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		for n, err := 0, error(nil); err == nil && sent.Load() < 256<<20; sent.Add(int64(n)) {
			n, err = w.Write(make([]byte, 1<<20))
		}
	})
	check(t, "response", s.post(t, sessions, ""), plainText("502 unexpected response from OpenVidu: check OPENVIDU_URL"))
	if got := sent.Load(); got > 64<<20 { // the operating system buffers some
		t.Errorf("OpenVidu sent %d MiB, want at most 64 MiB", got>>20)
	}
}

// OpenVidu's cookies, which spare OpenVidu the check of the secret, are kept and sent back, whatever the response.
func TestCookies(t *testing.T) {
	var setCookie string
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = []string{setCookie}
		w.WriteHeader(409)
	})
	for _, tt := range []struct{ want, setCookie string }{
		{"", "OVJSESSIONID=1; Path=/; HttpOnly"},
		{"OVJSESSIONID=1", ""},
		{"OVJSESSIONID=1", "OVJSESSIONID=2; Path=/; HttpOnly"},
		{"OVJSESSIONID=2", "route=a; Path=/"},
		{"OVJSESSIONID=2; route=a", "OVJSESSIONID=; Path=/; Max-Age=0"},
		{"route=a", ""},
	} {
		setCookie = tt.setCookie
		check(t, "response", s.post(t, sessions, sessionA), plainText("200 SessionA"))
		_, got, _ := strings.Cut(s.openvidu.received(), "\nCookie: ")
		got, _, _ = strings.Cut(got, "\n")
		check(t, "cookie", got, tt.want)
	}
}

// Requests share 32 TCP connections to OpenVidu, and reuse them.
func TestConnectionPool(t *testing.T) {
	var s *testServer
	full, release := context.WithTimeout(t.Context(), 2*time.Second) // so that a smaller pool doesn't hang
	s = start(t, func(w http.ResponseWriter, r *http.Request) {
		if s.openvidu.connected.Load() >= 32 {
			release()
		}
		<-full.Done()
		respond(200, connectionResponse)(w, r)
	})
	for range 2 {
		s.concurrently(t, 64, connections, "", "200 "+token)
	}
	check(t, "connections", s.openvidu.connected.Load(), 32)
}

// OpenVidu's certificate is verified, TLS 1.2 is the minimum, and the log has the cause.
func TestTLS(t *testing.T) {
	const (
		certificate = "502 cannot verify OpenVidu's certificate: check the certificate and its CA or, in development only, set OPENVIDU_TLS_SKIP_VERIFY=true"
		unreachable = "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
		noAPI       = "502 no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"
	)
	trust := func(config *tls.Config, ca *x509.Certificate) {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(ca)
	}
	trustInNextCentury := func(config *tls.Config, ca *x509.Certificate) {
		trust(config, ca)
		config.Time = func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	distrust := func(config *tls.Config, ca *x509.Certificate) { config.RootCAs = x509.NewCertPool() }
	for _, tt := range []struct {
		name, base    string                               // base with the port is OPENVIDU_URL
		openvidu      *tls.Config                          // nil for HTTP
		modify        func(*tls.Config, *x509.Certificate) // changes this server's configuration
		skipVerify    string
		want, wantLog string
	}{
		{name: "trusted certificate", base: "https://127.0.0.1", openvidu: &tls.Config{}, modify: trust, want: "200 SessionA"},
		{name: "TLS 1.2", base: "https://127.0.0.1", openvidu: &tls.Config{MaxVersion: tls.VersionTLS12}, modify: trust, want: "200 SessionA"},
		{name: "TLS 1.1", base: "https://127.0.0.1", openvidu: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, modify: trust,
			want: unreachable, wantLog: "tls: .*protocol version"},
		{name: "unknown CA", base: "https://127.0.0.1", openvidu: &tls.Config{}, modify: distrust, want: certificate, wantLog: "x509: .*unknown authority"},
		{name: "unknown CA, verification skipped", base: "https://127.0.0.1", openvidu: &tls.Config{}, modify: distrust, skipVerify: "true", want: "200 SessionA"},
		{name: "certificate of another host", base: "https://localhost", openvidu: &tls.Config{}, modify: trust,
			want: certificate, wantLog: "x509: .*valid for .* not localhost"},
		{name: "expired certificate", base: "https://127.0.0.1", openvidu: &tls.Config{}, modify: trustInNextCentury,
			want: certificate, wantLog: "x509: certificate has expired"},
		{name: "HTTP sent to an HTTPS port", base: "http://127.0.0.1", openvidu: &tls.Config{}, want: noAPI, wantLog: "status 400"},
		{name: "HTTPS sent to an HTTP port", base: "https://127.0.0.1", want: noAPI, wantLog: "server gave HTTP response to HTTPS client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(listen(t), respond(200, sessionResponse))
			if f.TLS = tt.openvidu; f.TLS != nil {
				f.StartTLS()
			} else {
				f.Start()
			}
			t.Cleanup(f.Close)
			_, port, _ := net.SplitHostPort(f.Listener.Addr().String())
			s := startWith(t, f, "OPENVIDU_URL="+tt.base+":"+port, "OPENVIDU_TLS_SKIP_VERIFY="+tt.skipVerify)
			if tt.modify != nil {
				tt.modify(s.transport().TLSClientConfig, f.Certificate())
			}
			check(t, "response", s.post(t, sessions, ""), plainText(tt.want))
			if !regexp.MustCompile(tt.wantLog).MatchString(s.log.lines()) {
				t.Errorf("got log %s, want %s", s.log.lines(), tt.wantLog)
			}
			check(t, "connections", f.connected.Load(), 1)
		})
	}
}

// On Linux, SSL_CERT_FILE names the CA certificates to trust. The program runs in another process because they are read only once.
func TestCertificateFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have a trust store of their own")
	}
	f := newFake(listen(t), respondToAll)
	f.TLS = &tls.Config{}
	f.StartTLS()
	t.Cleanup(f.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	startProcess(t, "OPENVIDU_URL="+f.URL, "SSL_CERT_FILE="+file).waitFor(t, "OpenVidu is ready")
}

// Calls to OpenVidu use the proxy that the environment names, unless NO_PROXY excludes OpenVidu's host. The program runs in another
// process because net/http reads the variables only once.
func TestProxy(t *testing.T) {
	proxy := startFake(t, respond(407, ""))
	p := startProcess(t, "OPENVIDU_URL=http://openvidu.invalid:4443/", "HTTP_PROXY="+proxy.URL)
	p.waitFor(t, `error="unexpected response from OpenVidu: check OPENVIDU_URL: status 407"`)
	got, _, _ := strings.Cut(proxy.received(), "\n")
	check(t, "request to the proxy", got, "GET http://openvidu.invalid:4443/openvidu/api/config")

	p = startProcess(t, "OPENVIDU_URL=http://0.0.0.0:1", "HTTP_PROXY="+proxy.URL, "NO_PROXY=0.0.0.0")
	p.waitFor(t, `error="cannot reach OpenVidu: .*: dial tcp `)
	check(t, "requests that reached the proxy in spite of NO_PROXY", proxy.received(), "")

	p = startProcess(t, "OPENVIDU_URL=http://openvidu.invalid", "HTTP_PROXY=http://user:hidden@127.0.0.1:99999")
	p.waitFor(t, `error="cannot reach OpenVidu: .*: proxyconnect tcp: dial tcp: address 99999: invalid port"`)
}

// OpenVidu is checked until it is ready. Each check starts 5 s after the previous one has failed. The log shows a reason only if it has changed.
func TestStartUpCheck(t *testing.T) {
	responses := []http.HandlerFunc{respond(503, ""), respond(500, htmlResponse), respond(200, "<"), respond(200, "{}"), respond(403, ""), respond(401, ""), respond(503, ""),
		hang(""), respond(400, malformedResponse), func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(29 * time.Second)
			respond(200, configResponse)(w, r)
		}}
	var checked []time.Duration
	var start time.Time
	simulate(t, func(w http.ResponseWriter, r *http.Request) {
		checked = append(checked, time.Since(start))
		responses[min(len(checked), len(responses))-1](w, r)
	}, func(t *testing.T, s *testServer) {
		start = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // more than all checks take
		defer cancel()
		waitForOpenVidu(ctx, s.ov, slog.New(slog.NewTextHandler(s.log, nil)))
		check(t, "times of the checks", fmt.Sprint(checked), "[0s 5s 10s 15s 20s 25s 30s 35s 1m10s 1m15s]") // one of them took 30 s
		warning := `level=WARN msg="cannot use OpenVidu yet, retrying" every=5s error=`
		s.checkLog(t, warning+`"OpenVidu failed: check that it is running and see its log: status 503"
`+warning+`"unexpected response from OpenVidu: check OPENVIDU_URL: invalid character '<' looking for beginning of value"
`+warning+`"OpenVidu denied access: check OPENVIDU_URL and OpenVidu's ALLOWED_ACCESS_TO_RESTAPI"
`+warning+`"OpenVidu rejected the credentials: check OPENVIDU_SECRET"
`+warning+`"OpenVidu failed: check that it is running and see its log: status 503"
`+warning+`"OpenVidu timed out: try again, or check OPENVIDU_URL"
`+warning+`"Bad Request"
level=INFO msg="OpenVidu is ready" version=2.31.0 OPENVIDU_PUBLICURL=http://localhost:4443
`)

		before := s.log.lines()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second) // a shutdown during a check
		defer cancel()
		waitForOpenVidu(ctx, s.ov, slog.New(slog.NewTextHandler(s.log, nil)))
		s.checkLog(t, before)
	})
}

// Each step has a time limit, which synctest's clock measures exactly.
func TestTimeouts(t *testing.T) {
	const (
		timedOut = "504 OpenVidu timed out: try again, or check OPENVIDU_URL"
		noAnswer = "unexpected EOF"
	)
	whole := request("POST", sessions, "{}")
	head := strings.TrimSuffix(whole, "{}")
	after := func(delay time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(delay)
			respondToAll(w, r)
		}
	}
	for _, tt := range []struct {
		name       string
		openvidu   http.HandlerFunc
		writes     []string      // by the client
		pause      time.Duration // after each write but the last
		readsAfter time.Duration // from the last write
		want       string
		wantAfter  time.Duration // from the start
		wantLogged string        // duration
	}{
		{name: "OpenVidu takes 29 s", openvidu: after(29 * time.Second), writes: []string{whole}, want: "200 SessionA", wantAfter: 29 * time.Second, wantLogged: "29s"},
		{name: "OpenVidu never responds", openvidu: hang(""), writes: []string{whole}, want: timedOut, wantAfter: 30 * time.Second, wantLogged: "30s"},
		{name: "OpenVidu's response never ends", openvidu: hang("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), writes: []string{whole},
			want: timedOut, wantAfter: 30 * time.Second, wantLogged: "30s"},
		{name: "101 that never ends", openvidu: hang("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), writes: []string{whole},
			want: "502 unexpected response from OpenVidu: check OPENVIDU_URL", wantLogged: "0s"},
		{name: "headers in 4 s", openvidu: respondToAll, writes: []string{"POST ", whole[5:]}, pause: 4 * time.Second,
			want: "200 SessionA", wantAfter: 4 * time.Second, wantLogged: "0s"},
		{name: "headers that never end", writes: []string{head[:len(head)-2]}, want: noAnswer, wantAfter: 5 * time.Second},
		{name: "no request", writes: []string{""}, want: noAnswer, wantAfter: 5 * time.Second},
		{name: "body in 9 s, OpenVidu takes 29 s", openvidu: after(29 * time.Second), writes: []string{head + "{", "}"}, pause: 9 * time.Second,
			want: "200 SessionA", wantAfter: 38 * time.Second, wantLogged: "38s"},
		{name: "body that never ends", writes: []string{head + "{"}, want: "408 timed out reading request body", wantAfter: 10 * time.Second, wantLogged: "10s"},
		{name: "client that reads after 49 s", openvidu: respondToAll, writes: []string{whole}, readsAfter: 49 * time.Second,
			want: "200 SessionA", wantAfter: 49 * time.Second, wantLogged: "0s"},
		{name: "client that reads after 51 s", openvidu: respondToAll, writes: []string{whole}, readsAfter: 51 * time.Second,
			want: noAnswer, wantAfter: 51 * time.Second, wantLogged: "0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, tt.openvidu, func(t *testing.T, s *testServer) {
				start := time.Now()
				c := s.dial(t)
				defer c.Close()
				for i, text := range tt.writes {
					if i > 0 {
						time.Sleep(tt.pause)
					}
					io.WriteString(c, text)
				}
				time.Sleep(tt.readsAfter)
				got := readResponse(bufio.NewReader(c), "POST")
				if tt.want != noAnswer {
					tt.want = plainText(tt.want)
				}
				if strings.HasPrefix(tt.want, "408") { // net/http closes the connection
					tt.want = strings.Replace(tt.want, "\nContent-Length", "\nConnection: close\nContent-Length", 1)
				}
				check(t, "response", got, tt.want)
				check(t, "time", time.Since(start), tt.wantAfter)
				synctest.Wait()
				logged := regexp.MustCompile(" duration=(\\S+)").FindAllStringSubmatch(s.log.String(), -1)
				if tt.wantLogged == "" {
					check(t, "lines in the log", len(logged), 0)
				} else {
					check(t, "duration in the log", fmt.Sprint(logged), fmt.Sprintf("[[ duration=%s %[1]s]]", tt.wantLogged))
				}
			})
		})
	}
}

// The server closes a client's idle connection after 2 min, and one to OpenVidu after 30 s, before OpenVidu does so after 60 s.
func TestIdleConnections(t *testing.T) {
	simulate(t, respondToAll, func(t *testing.T, s *testServer) {
		start := time.Now()
		c := s.dial(t)
		reader := bufio.NewReader(c)
		for _, connected := range []int32{1, 1, 2} {
			io.WriteString(c, request("POST", sessions, ""))
			check(t, "response", readResponse(reader, "POST"), plainText("200 SessionA"))
			check(t, "connections to OpenVidu so far", s.openvidu.connected.Load(), connected)
			if connected == 1 {
				time.Sleep(29 * time.Second)
			}
			if time.Since(start) > 29*time.Second {
				time.Sleep(2 * time.Second)
			}
		}
		before := time.Now()
		check(t, "response on an idle connection", readResponse(reader, "POST"), "unexpected EOF")
		check(t, "time", time.Since(before), 118*time.Second)
	})
}

// A client that sends an unusual, invalid or oversized request gets a response.
func TestClientFaults(t *testing.T) {
	const (
		chunked  = "Transfer-Encoding: chunked"
		tooLarge = "413 request body exceeds 100 KiB"
	)
	s := start(t, respondToAll)
	large := strings.Repeat(" ", 1_000_000)
	for _, tt := range []struct{ name, text, want string }{
		{"HTTP/1.0, as from nginx", strings.Replace(request("POST", connections, "{}"), "HTTP/1.1", "HTTP/1.0", 1), "200 " + token},
		{"chunked body", request("POST", connections, "2\r\n{}\r\n0\r\n\r\n", chunked), "200 " + token},
		{"invalid chunk", request("POST", connections, "x\r\n", chunked), "400 cannot read request body"},
		{"header of 64 KiB", request("POST", connections, "", "A: "+strings.Repeat("a", 64<<10)), "431 431 Request Header Fields Too Large"},
		{"body of 100 KiB and a byte", request("POST", connections, "{}"+large[:100*1024-1]), tooLarge},
		{"chunk over the limit", request("POST", connections, "20000\r\n"+large[:100*1024+1], chunked), tooLarge},
		{"many chunks", request("POST", connections, strings.Repeat("400\r\n"+large[:1024]+"\r\n", 4096), chunked), tooLarge},
		{"large body", request("POST", connections, large, "Connection: close"), tooLarge},
		{"large body, unknown path", request("POST", "/nowhere", large, "Connection: close"), "404 404 page not found"},
	} {
		for range 20 { // a lost response is a race
			got := s.send(t, tt.text)
			status, body, _ := strings.Cut(tt.want, " ")
			if !strings.HasPrefix(got, status+"\n") || !strings.HasSuffix(strings.TrimSpace(got), "\n\n"+body) {
				t.Fatalf("%s: got %.200q, want %s", tt.name, got, tt.want)
			}
		}
	}
	if want := `status=400 error="cannot read request body: invalid byte in chunk length"`; !strings.Contains(s.log.lines(), want) {
		t.Errorf("got log %.1000s, want %s", s.log.lines(), want)
	}
}

// After an oversized body, the server waits before it closes the connection, so that unread data doesn't reset it.
func TestOversizedBody(t *testing.T) {
	simulate(t, nil, func(t *testing.T, s *testServer) {
		start := time.Now()
		c := s.dial(t)
		go io.WriteString(c, request("POST", sessions, strings.Repeat(" ", 1_000_000)))
		got := readResponse(bufio.NewReader(c), "POST")
		check(t, "response", got, strings.Replace(plainText("413 request body exceeds 100 KiB"), "\nContent-Length", "\nConnection: close\nContent-Length", 1))
		io.Copy(io.Discard, c)
		check(t, "time until the connection is closed", time.Since(start), 500*time.Millisecond) // net/http's
	})
}

// A body that isn't needed is read before the connection closes, which nginx requests by default: otherwise TCP resets the
// connection, and the response may be lost. If the client waits for 100 Continue, the server doesn't wait for the body.
func TestUnreadBodies(t *testing.T) {
	body := strings.Repeat(" ", 100_000)
	for _, tt := range []struct{ name, text, want string }{
		{"unknown path", request("POST", "/nowhere", body, "Connection: close"), "404"},
		{"wrong method", request("PUT", sessions, body, "Connection: close"), "405"},
		{"preflight", request("OPTIONS", sessions, body, "Connection: close", "Access-Control-Request-Method: POST"), "204"},
		{"100 Continue", strings.TrimSuffix(request("POST", "/nowhere", body, "Expect: 100-continue"), body), "404"},
	} {
		simulate(t, nil, func(t *testing.T, s *testServer) {
			start := time.Now()
			c := s.dial(t)
			written := make(chan error, 1)
			go func() {
				_, err := io.WriteString(c, tt.text)
				written <- err
			}()
			check(t, tt.name+": response", readResponse(bufio.NewReader(c), "POST")[:3], tt.want)
			check(t, tt.name+": error of the client", <-written, nil)
			check(t, tt.name+": time", time.Since(start), 0)
			c.Close()
		})
	}
}

// When the client disconnects, the call is cancelled immediately and logged at level INFO.
func TestClientDisconnects(t *testing.T) {
	for _, path := range []string{sessions, connections} {
		arrived, cancelled := make(chan bool, 1), make(chan bool, 1)
		s := start(t, func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			<-r.Context().Done()
			cancelled <- true
		})
		c := s.dial(t)
		io.WriteString(c, request("POST", path, ""))
		receive(t, "call to OpenVidu", arrived)
		c.Close()
		receive(t, "cancellation of the call", cancelled)
		s.waitFor(t, "request")
		s.checkLog(t, "level=INFO msg=request method=POST path="+path+" status=499 error=\"client disconnected\"\n")
	}
}

// Whatever a client sends, OpenVidu gets either no request or a valid one for a session or a connection. The client gets no 5xx
// (except 501 and 505, which are net/http's).
func FuzzRequest(f *testing.F) {
	for _, path := range []string{sessions, connections, "/api/sessions/%2e%2e/connections", "/api/sessions/a%2F..%2Fb/connections", "//api/sessions",
		"/api/sessions/../x?y#z", "http://x/api/sessions", "*", "/api/sessions/%2"} {
		for _, body := range []string{"", "null", "{}", "{}{}", `{"customSessionId":"a\u0000\r\n"}`, `{"customSessionId":5,"customSessionId":null}`, "{\"\xff\":1}",
			`{"role":"BOSS"}`} {
			f.Add(path, body)
		}
	}
	s := start(f, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if message, err := json.Marshal("Parameter role " + string(body)); strings.Contains(string(body), "role") && err == nil {
			respond(400, `{"error":"Bad Request","message":`+string(message)+"}")(w, r)
			return
		}
		respondToAll(w, r)
	})
	dial := s.dial
	s.dial = func(t testing.TB) net.Conn {
		c := dial(t)
		c.(*net.TCPConn).SetLinger(0) // so that millions of connections don't use up the ports
		return c
	}
	pattern := regexp.MustCompile(`^POST /openvidu/api/sessions(/[A-Za-z0-9_-]+/connection)?\n(?:.+\n)+\n([ \t\r\n]*\{(?s:.*))$`)
	f.Fuzz(func(t *testing.T, path, body string) {
		if got := s.send(t, request("POST", path, body)); regexp.MustCompile("^50[0234]").MatchString(got) {
			t.Errorf("got %q, want no 5xx", got)
		}
		if got := s.openvidu.received(); got != "" {
			if match := pattern.FindStringSubmatch(got); match == nil || !json.Valid([]byte(match[2])) {
				t.Errorf("OpenVidu got %q", got)
			}
		}
		s.log.checkSecrets(t)
		s.log.reset()
	})
}

// The program listens on all interfaces, logs its settings, checks OpenVidu, serves, and finishes the requests in flight on shutdown.
func TestProgram(t *testing.T) {
	arrived, release := make(chan bool), make(chan bool)
	f := newFake(listen(t), func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/connection") {
			arrived <- true
			<-release
			respond(200, connectionResponse)(w, r)
			return
		}
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/path")
		respondToAll(w, r)
	})
	f.TLS = &tls.Config{}
	f.StartTLS()
	t.Cleanup(f.Close)
	ctx, stop := context.WithCancel(t.Context())
	p := &testServer{openvidu: f, log: newLogBuffer(), result: make(chan error, 1)}
	go func() {
		env := getenv("SERVER_PORT=0", "OPENVIDU_URL="+f.URL+"/path", "OPENVIDU_TLS_SKIP_VERIFY=true", "CORS_ALLOWED_ORIGINS=https://a, https://b", "STATIC_DIR=.")
		p.result <- run(ctx, env, files(".env", "SERVER_PORT=1\nOPENVIDU_SECRET="+secret+"\nB=hidden\nA=\n"), p.log)
	}()
	p.dial = dialer("127.0.0.1:" + p.waitFor(t, portPattern))
	p.waitFor(t, "is ready")
	everywhere, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	everywhere.Close()
	host, _, _ := net.SplitHostPort(everywhere.Addr().String())
	check(t, "host", p.waitFor(t, `msg=listening address=\[?(.*?)\]?:\d+ `), host)
	plain := []string{"Vary: Origin", "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"}
	check(t, "response", p.post(t, sessions, ""), wantResponse(200, "SessionA", plain...))
	check(t, "status of a file", p.send(t, request("GET", "/go.mod", ""))[:3], "200")
	inFlight := make(chan string, 1)
	go func() { inFlight <- p.post(t, connections, "") }()
	receive(t, "request in flight", arrived)
	check(t, "response", p.post(t, sessions, ""), wantResponse(200, "SessionA", plain...)) // leaves an idle connection to OpenVidu
	slow := p.dial(t)
	reader := bufio.NewReader(slow)
	text := request("POST", sessions, sessionA, "Expect: 100-continue")
	io.WriteString(slow, strings.TrimSuffix(text, sessionA))
	check(t, "the server reads the body", readResponse(reader, "POST"), "100\n\n")
	stop()
	p.waitFor(t, `msg="shutting down`)
	for start := time.Now(); ; {
		c, err := net.Dial("tcp", slow.RemoteAddr().String())
		if err != nil {
			break // the port is closed
		}
		c.Close()
		if time.Since(start) > 5*time.Second {
			t.Fatal("the port is still open 5 s after the signal")
		}
	}
	io.WriteString(slow, sessionA)
	plain = append(plain, "Connection: close")
	check(t, "response to the request that had arrived in part", readResponse(reader, "POST"), wantResponse(200, "SessionA", plain...))
	close(release)
	check(t, "response to the request in flight", receive(t, "response", inFlight), wantResponse(200, token, plain...))
	check(t, "result", receive(t, "end of the program", p.result), nil)
	p.checkLog(t, `level=INFO msg=listening address=ANY:PORT OPENVIDU_URL=https://127.0.0.1:PORT/path OPENVIDU_SECRET="(from .env)" `+
		`OPENVIDU_TLS_SKIP_VERIFY=true CORS_ALLOWED_ORIGINS=https://a,https://b STATIC_DIR=.
level=WARN msg=".env contains names that aren't settings" names=A,B
level=WARN msg="OPENVIDU_TLS_SKIP_VERIFY is true: a man in the middle can steal the secret"
level=INFO msg="OpenVidu is ready" version=2.31.0 OPENVIDU_PUBLICURL=http://localhost:4443
level=INFO msg=request method=POST path=/api/sessions status=200
level=INFO msg=request method=GET path=/go.mod status=200
level=INFO msg=request method=POST path=/api/sessions status=200
level=INFO msg="shutting down, waiting for requests in flight"
level=INFO msg=request method=POST path=/api/sessions status=200
level=INFO msg=request method=POST path=/api/sessions/SessionA/connections status=200
`)
	header := "\nAuthorization: Basic " + basic + "\n"
	got := f.received()
	check(t, "requests with the credentials", strings.Count(got, header), 5)
	check(t, "requests with the cookie of the start-up check", strings.Count(got, "\nCookie: "+cookie+"\n"), 4)
	check(t, "connections to OpenVidu, one of them opened by the start-up check", f.connected.Load(), 2)
}

// Whatever the start-up check is doing, the program ends without an error at shutdown, and logs no warning for the cancelled check.
func TestShutdown(t *testing.T) {
	cancelled := make(chan bool, 1)
	for _, tt := range []struct {
		name     string
		openvidu http.HandlerFunc
		want     string // in the log before the shutdown
	}{
		{"checking", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			cancelled <- true
		}, "^.*listening .*\n$"},
		{"waiting for the next check", respond(503, ""), "^.*listening .*\n.*cannot use OpenVidu yet.*\n$"},
		{"ready", respond(200, configResponse), "^.*listening .*\n.*OpenVidu is ready.*\n$"},
	} {
		arrived := make(chan bool, 1)
		f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			tt.openvidu(w, r)
		})
		ctx, stop := context.WithCancel(t.Context())
		p := &testServer{log: newLogBuffer(), result: make(chan error, 1)}
		go func() { p.result <- run(ctx, getenv("SERVER_PORT=0", "OPENVIDU_URL="+f.URL), nothing, p.log) }()
		receive(t, tt.name, arrived)
		before := p.waitFor(t, "(?s)("+tt.want+")")
		stop()
		if tt.name == "checking" {
			receive(t, "cancellation of the check", cancelled)
		}
		check(t, tt.name, receive(t, "end of the program", p.result), nil)
		if !regexp.MustCompile(`^.*msg="shutting down, waiting for requests in flight"\n$`).MatchString(strings.TrimPrefix(p.log.String(), before)) {
			t.Errorf("%s: got log %s, want one more line", tt.name, p.log)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a signal that arrives before the program serves
	result := make(chan error, 1)
	go func() {
		result <- run(ctx, getenv("SERVER_PORT=0", "OPENVIDU_URL=http://127.0.0.1:1"), nothing, io.Discard)
	}()
	check(t, "result", receive(t, "end of the program", result), nil)
}

// Shutdown waits for the longest request, and for no more than 50 s.
func TestShutdownTimeout(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bundle.js"), make([]byte, 1_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path string
		want               string // result
		after              time.Duration
	}{
		{"longest request", "POST", sessions, "<nil>", 38 * time.Second},
		{"download that isn't read", "GET", "/bundle.js", "requests in flight did not finish within 50s: context deadline exceeded", 50 * time.Second},
	} {
		simulate(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(29 * time.Second)
			respondToAll(w, r)
		}, func(t *testing.T, s *testServer) {
			start := time.Now()
			c := s.dial(t)
			defer c.Close()
			text := request(tt.method, tt.path, "{}")
			io.WriteString(c, text[:len(text)-1])
			if tt.method == "POST" {
				go io.Copy(io.Discard, c)
			}
			synctest.Wait()
			s.stop()
			time.Sleep(9 * time.Second)
			if tt.method == "POST" {
				io.WriteString(c, "}")
			}
			check(t, tt.name, fmt.Sprint(<-s.result), tt.want)
			check(t, tt.name, time.Since(start).Truncate(time.Second), tt.after) // Shutdown polls twice a second
		}, "STATIC_DIR="+dir)
	}
}

// With responses recorded from OpenVidu, the commands of the README's quick start print the output shown there.
func TestQuickStart(t *testing.T) {
	readme := read(t, "README.md")
	s := start(t, respondToAll)
	var output strings.Builder
	for _, command := range regexp.MustCompile(`curl -w "\\n" (?:-X POST|-d "(.*)") http://localhost:5000(/\S+)`).FindAllStringSubmatch(readme, 2) {
		got := s.post(t, command[2], strings.ReplaceAll(command[1], `\"`, `"`))
		fmt.Fprintf(&output, "    %s\n", got[strings.LastIndex(got, "\n")+1:])
	}
	if !strings.Contains(readme, "\n\n"+output.String()) {
		t.Errorf("the README doesn't contain the output\n%s", output.String())
	}
}

// If the program doesn't start, it says why and exits with the right status.
func TestExit(t *testing.T) {
	const usage = "openvidu-basic-go creates .*\n  SERVER_PORT  .*\n$"
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, used, _ := net.SplitHostPort(listener.Addr().String())
	for _, tt := range []struct {
		arg, dotenv string
		wantStatus  int
		want        string
	}{
		{"-h", "", 0, "^" + usage},
		{"-x", "", 2, "^flag provided but not defined: -x\n" + usage},
		{"5000", "", 2, "^unexpected argument \"5000\": see -h\n$"},
		{"--", "SERVER_PORT=x", 1, `^SERVER_PORT \(from .env\): must be a number from 0 to 65535` + "\n$"},
		{"--", "SERVER_PORT=" + used, 1, "^SERVER_PORT: cannot listen on port " + used + ": .*\n$"},
	} {
		cmd, log := command(t)
		if err := os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte(tt.dotenv), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, tt.arg)
		cmd.Run()
		check(t, "status of "+tt.arg+" "+tt.dotenv, cmd.ProcessState.ExitCode(), tt.wantStatus)
		if !regexp.MustCompile("(?s)" + tt.want).MatchString(log.String()) {
			t.Errorf("%s %s: got %q, want %s", tt.arg, tt.dotenv, log, tt.want)
		}
	}
}

// The first signal shuts the program down; the second kills it.
func TestSignals(t *testing.T) {
	skipWithoutSignals(t)
	arrived := make(chan bool, 1)
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
	})
	for _, tt := range []struct {
		first  os.Signal
		second bool
		want   string
	}{
		{os.Interrupt, false, "<nil>"},
		{syscall.SIGTERM, false, "<nil>"},
		{os.Interrupt, true, "signal: interrupt"},
	} {
		p := startProcess(t, "OPENVIDU_URL="+f.URL)
		receive(t, "start-up check", arrived)
		if tt.second {
			go io.WriteString(p.dial(t), request("POST", sessions, ""))
			receive(t, "request in flight", arrived)
		}
		p.cmd.Process.Signal(tt.first)
		p.waitFor(t, `msg="shutting down`)
		go func() { // repeatedly, because the program may not have restored the default yet
			for tt.second && p.cmd.Process.Signal(os.Interrupt) == nil {
				time.Sleep(time.Millisecond)
			}
		}()
		check(t, "exit status", fmt.Sprint(receive(t, "end of the program", p.result)), tt.want)
	}
}

// If the program that reads the log ends, as tee does on Ctrl+C, the server goes on, and shuts down as usual.
func TestLogWithoutReader(t *testing.T) {
	skipWithoutSignals(t)
	arrived, release := make(chan bool), make(chan bool)
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/connection") {
			arrived <- true
			<-release
		}
		respondToAll(w, r)
	})
	p := startProcess(t, "OPENVIDU_URL="+f.URL, "OPENVIDU_SECRET="+secret)
	p.waitFor(t, "is ready")
	p.closeLog()
	check(t, "response without a reader of the log", p.post(t, sessions, ""), plainText("200 SessionA"))
	inFlight := make(chan string, 1)
	go func() { inFlight <- p.post(t, connections, "") }()
	receive(t, "request in flight", arrived)
	p.cmd.Process.Signal(os.Interrupt)
	for c, err := net.Dial("tcp", p.address); err == nil; c, err = net.Dial("tcp", p.address) {
		c.Close() // until the port is closed
	}
	close(release)
	got := receive(t, "response", inFlight)
	check(t, "response to the request in flight", strings.Replace(got, "\nConnection: close", "", 1), plainText("200 "+token))
	check(t, "exit status", fmt.Sprint(receive(t, "end of the program", p.result)), "<nil>")
}

// The log shows what net/http's server reports, and the program ends if the listener fails.
func TestListenerErrors(t *testing.T) {
	simulate(t, nil, func(t *testing.T, s *testServer) {
		s.listener.errors <- syscall.EMFILE
		s.listener.errors <- errors.New("listener broken")
		check(t, "result", fmt.Sprint(<-s.result), "listener broken")
		s.checkLog(t, fmt.Sprintf("level=WARN msg=%q\n", fmt.Sprintf("http: Accept error: %v; retrying in 5ms", syscall.EMFILE)))
	})
}

// BenchmarkRequest measures requests, including the client and the fake OpenVidu.
func BenchmarkRequest(b *testing.B) {
	s := start(b, respondToAll)
	for _, bb := range []struct{ name, path, body, want string }{
		{"session", sessions, sessionA, "200 SessionA"},
		{"token", connections, "{}", "200 " + token},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				c := s.dial(b)
				c.SetDeadline(time.Time{})
				reader := bufio.NewReader(c)
				for pb.Next() {
					io.WriteString(c, request("POST", bb.path, bb.body))
					check(b, "response", readResponse(reader, "POST"), plainText(bb.want))
				}
			})
		})
	}
}

// testServer is this server in front of a fake OpenVidu.
type testServer struct {
	openvidu *fakeOpenVidu
	ov       *openVidu
	log      *logBuffer
	dial     func(t testing.TB) net.Conn // opens a connection to this server
	listener *memoryListener             // nil unless simulated
	stop     context.CancelFunc          // starts the shutdown
	result   chan error                  // of serve
}

// start starts this server in front of an OpenVidu that responds with the given handler. settings are NAME=value pairs.
func start(t testing.TB, openvidu http.HandlerFunc, settings ...string) *testServer {
	t.Helper()
	return startWith(t, startFake(t, openvidu), settings...)
}

// startWith is start for a fake that is already running.
func startWith(t testing.TB, openvidu *fakeOpenVidu, settings ...string) *testServer {
	t.Helper()
	listener := listen(t)
	s := &testServer{openvidu: openvidu, dial: dialer(listener.Addr().String())}
	s.serve(t, listener, settings)
	return s
}

// simulate runs test with synctest's clock, and with this server and OpenVidu connected in memory: a real network would keep that
// clock from advancing.
func simulate(t *testing.T, openvidu http.HandlerFunc, test func(*testing.T, *testServer), settings ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(newMemoryListener(), openvidu)
		f.Start()
		t.Cleanup(f.Close)
		listener := newMemoryListener()
		s := &testServer{openvidu: f, listener: listener, dial: func(testing.TB) net.Conn { return listener.dial() }}
		s.serve(t, listener, settings)
		s.transport().DialContext = func(context.Context, string, string) (net.Conn, error) {
			return f.Listener.(*memoryListener).dial(), nil
		}
		test(t, s)
	})
}

// serve serves with the program's own configuration until the end of the test, and then checks the log for secrets.
func (s *testServer) serve(t testing.TB, listener net.Listener, settings []string) {
	t.Helper()
	cfg, err := loadConfig(getenv(append([]string{"OPENVIDU_URL=" + s.openvidu.URL, "OPENVIDU_SECRET=" + secret}, settings...)...), nothing)
	if err != nil {
		t.Fatal(err)
	}
	s.log, s.result = newLogBuffer(), make(chan error, 1)
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	s.ov = newOpenVidu(cfg.openviduURL, cfg.secret, cfg.tlsSkipVerify)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	served := make(chan bool)
	go func() {
		s.result <- serve(ctx, cfg, newAPI(s.ov), listener, logger)
		close(served)
	}()
	t.Cleanup(func() {
		stop()
		s.openvidu.CloseClientConnections()
		<-served
		s.ov.client.CloseIdleConnections()
		s.log.checkSecrets(t)
	})
}

func (s *testServer) transport() *http.Transport { return s.ov.client.Transport.(*http.Transport) }

// request returns a request to this server with the given header lines. Every request of the tests is made here: if you add a login
// to this server, add its header here, after Host.
func request(method, path, body string, header ...string) string {
	header = append([]string{method + " " + path + " HTTP/1.1", "Host: localhost:5000"}, header...)
	if !slices.Contains(header, "Transfer-Encoding: chunked") {
		header = append(header, fmt.Sprint("Content-Length: ", len(body)))
	}
	return strings.Join(header, "\r\n") + "\r\n\r\n" + body
}

// send sends a request and returns the whole response, as wantResponse does, or the error if there is none.
func (s *testServer) send(t testing.TB, request string) string {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	go io.WriteString(c, request)
	method, _, _ := strings.Cut(request, " ")
	return readResponse(bufio.NewReader(c), method)
}

func (s *testServer) post(t testing.TB, path, body string) string {
	t.Helper()
	return s.send(t, request("POST", path, body))
}

// concurrently sends n identical POST requests at once and checks the status and text of the responses.
func (s *testServer) concurrently(t *testing.T, n int, path, body, want string) {
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() { check(t, "response", s.post(t, path, body), plainText(want)) })
	}
	clients.Wait()
}

func readResponse(reader *bufio.Reader, method string) string {
	resp, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	resp.Header.Del("Date")
	if resp.Close { // ReadResponse removes the header
		resp.Header.Set("Connection", "close")
	}
	return fmt.Sprintf("%d\n%s\n%s", resp.StatusCode, headerLines(resp.Header), body)
}

// headerLines returns the lines of a header, sorted by name.
func headerLines(header http.Header) string {
	var text strings.Builder
	header.Write(&text)
	return strings.ReplaceAll(text.String(), "\r\n", "\n")
}

// wantResponse returns a whole response, without Date: the status, the given header lines and Content-Length in the order of their
// names, and the body.
func wantResponse(status int, body string, header ...string) string {
	values := http.Header{}
	for line := range strings.SplitSeq(strings.Join(header, "\n"), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		values.Add(name, value)
	}
	if status != http.StatusNoContent && values.Get("Content-Length") == "" {
		values.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return fmt.Sprintf("%d\n%s\n%s", status, headerLines(values), body)
}

// plainText returns the whole response for a status and a text, such as "404 page not found", if every origin is allowed.
func plainText(want string) string {
	code, text, _ := strings.Cut(want, " ")
	status, _ := strconv.Atoi(code)
	if status != http.StatusOK {
		text += "\n" // http.Error adds it
	}
	return wantResponse(status, text, "Access-Control-Allow-Origin: *", "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff")
}

// requestLine returns the log line of a POST request with the given status and text, to which the log adds cause.
func requestLine(path, want, cause string) string {
	status, text, _ := strings.Cut(want, " ")
	level, attr := "INFO", ""
	if status >= "400" {
		attr = fmt.Sprintf(" error=%q", text+cause)
	}
	if status >= "500" {
		level = "ERROR"
	}
	return fmt.Sprintf("level=%s msg=request method=POST path=%s status=%s%s\n", level, path, status, attr)
}

// call returns the whole request that OpenVidu receives for a POST request to path, as received does.
func call(path, body string) string {
	path = strings.TrimSuffix(strings.Replace(path, "/api/", "/openvidu/api/", 1), "connections")
	if strings.HasSuffix(path, "/") {
		path += "connection"
	}
	return fmt.Sprintf("POST %s\nAccept-Encoding: gzip\nAuthorization: Basic %s\nContent-Length: %d\nContent-Type: application/json\nUser-Agent: Go-http-client/1.1\n\n%s",
		path, basic, len(body), body)
}

// fakeOpenVidu is a server that responds with a handler and records every request.
type fakeOpenVidu struct {
	*httptest.Server
	connected atomic.Int32 // number of connections so far
	mu        sync.Mutex
	requests  []string
}

// newFake returns a fake that hasn't been started.
func newFake(listener net.Listener, respond http.HandlerFunc) *fakeOpenVidu {
	f := &fakeOpenVidu{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		header := r.Header.Clone()
		header.Set("Content-Length", fmt.Sprint(r.ContentLength))
		f.mu.Lock()
		f.requests = append(f.requests, fmt.Sprintf("%s %s\n%s\n%s", r.Method, r.RequestURI, headerLines(header), body))
		f.mu.Unlock()
		respond(w, r)
	}
	f.Server = &httptest.Server{Listener: listener, Config: &http.Server{
		Handler:  http.HandlerFunc(handler),
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				f.connected.Add(1)
			}
		},
	}}
	return f
}

func startFake(t testing.TB, respond http.HandlerFunc) *fakeOpenVidu {
	t.Helper()
	f := newFake(listen(t), respond)
	f.Start()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// received returns the whole requests since the last call: method and path, header lines, body.
func (f *fakeOpenVidu) received() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := strings.Join(f.requests, "\n")
	f.requests = nil
	return text
}

// respond returns a handler that responds as OpenVidu does, with its session cookie.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", cookie+"; Path=/; HttpOnly")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("WWW-Authenticate", `Basic realm="Realm"`)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// respondToAll responds to each of the three requests as OpenVidu does.
func respondToAll(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasSuffix(r.URL.Path, "/openvidu/api/config"):
		respond(200, configResponse)(w, r)
	case strings.HasSuffix(r.URL.Path, "/openvidu/api/sessions"):
		respond(200, sessionResponse)(w, r)
	case strings.Contains(string(body), "BOSS"):
		respond(400, invalidResponse)(w, r)
	default:
		respond(200, connectionResponse)(w, r)
	}
}

// write returns a handler that writes text to the connection and closes it.
func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, text)
		c.Close()
	}
}

// hang returns a handler that writes text to the connection and waits until the client closes it.
func hang(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, text)
		io.Copy(io.Discard, c)
		c.Close()
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// dialer returns a function that connects to address. The connections fail after 10 s, so that a test fails instead of hanging.
func dialer(address string) func(testing.TB) net.Conn {
	return func(t testing.TB) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
}

// memoryListener is a net.Listener whose connections are in memory.
type memoryListener struct {
	conns  chan net.Conn
	errors chan error // for Accept to return
	close  sync.Once
	closed chan struct{}
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), errors: make(chan error), closed: make(chan struct{})}
}

func (l *memoryListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errors:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4443} }

// process is the program in a process of its own.
type process struct {
	testServer
	cmd      *exec.Cmd
	address  string
	closeLog func() // closes the reading end of the program's stderr
}

// TestMain runs main instead of the tests if startProcess or command started this binary as the program.
func TestMain(m *testing.M) {
	if os.Getenv("OPENVIDU_TEST_MAIN") != "" {
		main()
		return
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Unsetenv(name) // tests use the loopback interface only
	}
	os.Exit(m.Run())
}

// startProcess starts the program with the given environment and waits until it listens.
func startProcess(t *testing.T, env ...string) *process {
	t.Helper()
	cmd, log := command(t, append(env, "SERVER_PORT=0")...)
	cmd.Stderr = nil
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{testServer: testServer{log: log, result: make(chan error, 1)}, cmd: cmd, closeLog: func() { stderr.Close() }}
	go func() {
		io.Copy(log, stderr)
		p.result <- cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		log.checkSecrets(t)
	})
	p.address = "127.0.0.1:" + p.waitFor(t, portPattern)
	p.dial = dialer(p.address)
	return p
}

// command returns a command that runs the program, for 10 s at most, and a buffer that receives its stderr.
func command(t *testing.T, env ...string) (*exec.Cmd, *logBuffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	cmd, log := exec.CommandContext(ctx, self), newLogBuffer()
	cmd.Dir, cmd.Stderr = t.TempDir(), log
	cmd.Env = append(env, "OPENVIDU_TEST_MAIN=1", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR="+cmd.Dir)
	return cmd, log
}

func skipWithoutSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows can't send these signals to another process")
	}
}

// logBuffer is a buffer for a log, safe for concurrent use.
type logBuffer struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{} // closed by the next Write
}

func newLogBuffer() *logBuffer { return &logBuffer{changed: make(chan struct{})} }

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// read returns the text so far and a channel that is closed when there is more.
func (l *logBuffer) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text), l.changed
}

func (l *logBuffer) String() string {
	text, _ := l.read()
	return text
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = nil
}

var (
	variablePattern = regexp.MustCompile(`(?m)^time=\S+ | duration=\S+`)
	anyAddrPattern  = regexp.MustCompile(`(\[::\]|0\.0\.0\.0):\d+`)
	loopbackPattern = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// lines returns the log without times and durations, and with ANY for all interfaces and PORT for ports.
func (l *logBuffer) lines() string {
	text := variablePattern.ReplaceAllString(l.String(), "")
	return loopbackPattern.ReplaceAllString(anyAddrPattern.ReplaceAllString(text, "ANY:PORT"), "127.0.0.1:PORT")
}

// checkSecrets fails the test if the log contains a secret.
func (l *logBuffer) checkSecrets(t testing.TB) {
	t.Helper()
	for _, hidden := range []string{secret, basic, "tok_", strings.TrimPrefix(cookie, "OVJSESSIONID="), "hidden"} {
		if strings.Contains(l.String(), hidden) {
			t.Errorf("the log contains %q:\n%s", hidden, l)
		}
	}
}

// checkLog compares the whole log with want.
func (s *testServer) checkLog(t testing.TB, want string) {
	t.Helper()
	check(t, "log", s.log.lines(), want)
}

const portPattern = `msg=listening address=\S+:(\d+) ` // in the log

// waitFor waits until the log matches pattern and returns the last group.
func (s *testServer) waitFor(t testing.TB, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(10 * time.Second)
	for {
		text, changed := s.log.read()
		if match := re.FindStringSubmatch(text); match != nil {
			return match[len(match)-1]
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("got log\n%s\nwant %s", text, pattern)
		}
	}
}

// receive returns the next value from ch, which is called name in failures.
func receive[T any](t testing.TB, name string, ch <-chan T) T {
	t.Helper()
	select {
	case value := <-ch:
		return value
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: got nothing within 10 s", name)
		panic("unreachable")
	}
}

// getenv returns a replacement for os.Getenv with the given NAME=value pairs.
func getenv(env ...string) func(string) string {
	values := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

var nothing = fstest.MapFS{} // a directory without .env

func files(name, text string) fs.FS { return fstest.MapFS{name: {Data: []byte(text)}} }

// read returns the text of a file of this repository, which may have CRLF in a checkout on Windows.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// check fails the test if got differs from want.
func check[T any](t testing.TB, name string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%.100s: got\n%.2000s\nwant\n%.2000s", name, fmt.Sprint(got), fmt.Sprint(want))
	}
}

// Responses recorded from OpenVidu 2.31.0, as openvidu/openvidu-dev starts it.
const (
	sessionResponse = `{"id":"SessionA","object":"session","sessionId":"SessionA","createdAt":1795490638585,"recording":false,"broadcasting":false,` +
		`"mediaMode":"ROUTED","recordingMode":"MANUAL","defaultRecordingProperties":{"name":"","hasAudio":true,"hasVideo":true,` +
		`"outputMode":"COMPOSED","recordingLayout":"BEST_FIT","resolution":"1280x720","frameRate":25,"shmSize":536870912},` +
		`"customSessionId":"SessionA","forcedVideoCodec":"MEDIA_SERVER_PREFERRED","allowTranscoding":false,"connections":{"numberOfElements":0,` +
		`"content":[]}}`
	connectionResponse = `{"id":"con_XVQuLRIvX0","object":"connection","status":"pending","connectionId":"con_XVQuLRIvX0","sessionId":"SessionA",` +
		`"createdAt":1795490638684,"type":"WEBRTC","record":true,"role":"PUBLISHER","kurentoOptions":null,"customIceServers":[],"rtspUri":null,` +
		`"adaptativeBitrate":null,"onlyPlayWithSubscribers":null,"networkCache":null,"serverData":"",` +
		`"token":"ws://localhost:4443?sessionId=SessionA&token=tok_JVdW1bGdeuMy0dM1","activeAt":null,"location":null,"ip":null,"platform":null,` +
		`"clientData":null,"publishers":null,"subscribers":null}`
	configResponse = `{"VERSION":"2.31.0","DOMAIN_OR_PUBLIC_IP":"localhost","HTTPS_PORT":4443,"OPENVIDU_PUBLICURL":"http://localhost:4443","OPENVIDU_CDR":false,` +
		`"OPENVIDU_STREAMS_VIDEO_MAX_RECV_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_RECV_BANDWIDTH":300,` +
		`"OPENVIDU_STREAMS_VIDEO_MAX_SEND_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_SEND_BANDWIDTH":300,` +
		`"OPENVIDU_STREAMS_FORCED_VIDEO_CODEC":"MEDIA_SERVER_PREFERRED","OPENVIDU_STREAMS_ALLOW_TRANSCODING":false,"OPENVIDU_WEBRTC_SIMULCAST":false,` +
		`"OPENVIDU_SESSIONS_GARBAGE_INTERVAL":900,"OPENVIDU_SESSIONS_GARBAGE_THRESHOLD":3600,"OPENVIDU_RECORDING":false,"OPENVIDU_WEBHOOK":false}`
	ipcamResponse = `{"id":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","object":"connection","status":"active","connectionId":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x",` +
		`"sessionId":"SessionA","createdAt":1795363587056,"activeAt":1795363587056,"location":"unknown","ip":"127.0.0.1","platform":"IPCAM",` +
		`"token":null,"type":"IPCAM","record":true,"role":null,"kurentoOptions":null,"customIceServers":[],"rtspUri":"rtsp://127.0.0.1:1/x",` +
		`"adaptativeBitrate":true,"onlyPlayWithSubscribers":true,"networkCache":2000,"serverData":"","clientData":null,` +
		`"publishers":[{"createdAt":1795363587127,"streamId":"str_IPC_Wa28_ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","rtspUri":"rtsp://127.0.0.1:1/x",` +
		`"mediaOptions":{"hasAudio":true,"audioActive":true,"hasVideo":true,"videoActive":true,"typeOfVideo":"IPCAM","frameRate":null,` +
		`"videoDimensions":null,"filter":{},"adaptativeBitrate":true,"onlyPlayWithSubscribers":true,"networkCache":2000}}],"subscribers":[]}`
	invalidResponse = `{"timestamp":1795363586293,"status":400,"error":"Bad Request","message":"Parameter role BOSS is not defined",` +
		`"path":"/openvidu/api/sessions/SessionA/connection"}`
	malformedResponse    = `{"timestamp":"2026-11-22T16:06:24.938+00:00","status":400,"error":"Bad Request","path":"/openvidu/api/sessions"}`
	unauthorizedResponse = `{"timestamp":"2026-11-22T16:06:25.639+00:00","status":401,"error":"Unauthorized","path":"/openvidu/api/sessions"}`
	notFoundResponse     = `{"timestamp":"2026-11-22T16:06:25.917+00:00","status":404,"error":"Not Found","path":"/openvidu/api/openvidu/api/sessions"}`
	internalResponse     = `{"timestamp":"2026-11-22T16:06:26.734+00:00","status":500,"error":"Internal Server Error",` +
		`"path":"/openvidu/api/sessions/%2e%2e/connection"}`
	htmlResponse = `<!doctype html><html lang="en"><head><title>HTTP Status 400 – Bad Request</title><style type="text/css">` +
		`body {font-family:Tahoma,Arial,` +
		`sans-serif;} h1, h2, h3,` +
		` b {color:white;background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} p {font-size:12px;} a {color:black` +
		`;} .line {height:1px;background-color:#525D76;border:none;}</style></head><body><h1>HTTP Status 400 – Bad Request</h1></body></html>`

	cookie = "OVJSESSIONID=8EB66F980847C6A7697796FB1F7FED6C"
	token  = "ws://localhost:4443?sessionId=SessionA&token=tok_JVdW1bGdeuMy0dM1"
	basic  = "T1BFTlZJRFVBUFA6UyNlY3JldA==" // OPENVIDUAPP:S#ecret
	secret = "S#ecret"
)
