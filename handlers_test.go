package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// What OpenVidu 2.31.0 was recorded to answer.
const (
	sessionAnswer      = `{"id":"SessionA","object":"session","sessionId":"SessionA","createdAt":1795363583996,"recording":false,"broadcasting":false,"mediaMode":"ROUTED","recordingMode":"MANUAL","defaultRecordingProperties":{"name":"","hasAudio":true,"hasVideo":true,"outputMode":"COMPOSED","recordingLayout":"BEST_FIT","resolution":"1280x720","frameRate":25,"shmSize":536870912},"customSessionId":"SessionA","forcedVideoCodec":"MEDIA_SERVER_PREFERRED","allowTranscoding":false,"connections":{"numberOfElements":0,"content":[]}}`
	connectionAnswer   = `{"id":"con_Y06efLnj6t","object":"connection","status":"pending","connectionId":"con_Y06efLnj6t","sessionId":"SessionA","createdAt":1795363586022,"type":"WEBRTC","record":true,"role":"PUBLISHER","kurentoOptions":null,"customIceServers":[],"rtspUri":null,"adaptativeBitrate":null,"onlyPlayWithSubscribers":null,"networkCache":null,"serverData":"","token":"wss://localhost:4443?sessionId=SessionA&token=tok_Sb55SFmGqEXQfJhX","activeAt":null,"location":null,"ip":null,"platform":null,"clientData":null,"publishers":null,"subscribers":null}`
	ipcamAnswer        = `{"id":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","object":"connection","status":"active","connectionId":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","sessionId":"SessionA","createdAt":1795363587056,"activeAt":1795363587056,"location":"unknown","ip":"127.0.0.1","platform":"IPCAM","token":null,"type":"IPCAM","record":true,"role":null,"kurentoOptions":null,"customIceServers":[],"rtspUri":"rtsp://127.0.0.1:1/x","adaptativeBitrate":true,"onlyPlayWithSubscribers":true,"networkCache":2000,"serverData":"","clientData":null,"publishers":[{"createdAt":1795363587127,"streamId":"str_IPC_Wa28_ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","rtspUri":"rtsp://127.0.0.1:1/x","mediaOptions":{"hasAudio":true,"audioActive":true,"hasVideo":true,"videoActive":true,"typeOfVideo":"IPCAM","frameRate":null,"videoDimensions":null,"filter":{},"adaptativeBitrate":true,"onlyPlayWithSubscribers":true,"networkCache":2000}}],"subscribers":[]}`
	configAnswer       = `{"VERSION":"2.31.0","DOMAIN_OR_PUBLIC_IP":"localhost","HTTPS_PORT":4443,"OPENVIDU_PUBLICURL":"https://localhost:4443","OPENVIDU_CDR":false,"OPENVIDU_STREAMS_VIDEO_MAX_RECV_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_RECV_BANDWIDTH":300,"OPENVIDU_STREAMS_VIDEO_MAX_SEND_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_SEND_BANDWIDTH":300,"OPENVIDU_STREAMS_FORCED_VIDEO_CODEC":"MEDIA_SERVER_PREFERRED","OPENVIDU_STREAMS_ALLOW_TRANSCODING":false,"OPENVIDU_WEBRTC_SIMULCAST":false,"OPENVIDU_SESSIONS_GARBAGE_INTERVAL":900,"OPENVIDU_SESSIONS_GARBAGE_THRESHOLD":3600,"OPENVIDU_RECORDING":false,"OPENVIDU_WEBHOOK":false}`
	refusedAnswer      = `{"timestamp":1795363586293,"status":400,"error":"Bad Request","message":"Parameter role BOSS is not defined","path":"/openvidu/api/sessions/SessionA/connection"}`
	malformedAnswer    = `{"timestamp":"2026-11-22T16:06:24.938+00:00","status":400,"error":"Bad Request","path":"/openvidu/api/sessions"}`
	htmlAnswer         = `<!doctype html><html lang="en"><head><title>HTTP Status 400 – Bad Request</title><style type="text/css">body {font-family:Tahoma,Arial,sans-serif;} h1, h2, h3, b {color:white;background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} p {font-size:12px;} a {color:black;} .line {height:1px;background-color:#525D76;border:none;}</style></head><body><h1>HTTP Status 400 – Bad Request</h1></body></html>`
	unauthorizedAnswer = `{"timestamp":"2026-11-22T16:06:25.639+00:00","status":401,"error":"Unauthorized","path":"/openvidu/api/sessions"}`
	notFoundAnswer     = `{"timestamp":"2026-11-22T16:06:25.917+00:00","status":404,"error":"Not Found","path":"/openvidu/api/openvidu/api/sessions"}`
	brokenAnswer       = `{"timestamp":"2026-11-22T16:06:26.734+00:00","status":500,"error":"Internal Server Error","path":"/openvidu/api/sessions/%2e%2e/connection"}`

	cookie = "OVJSESSIONID=8EB66F980847C6A7697796FB1F7FED6C"
	token  = "wss://localhost:4443?sessionId=SessionA&token=tok_Sb55SFmGqEXQfJhX"
	basic  = "T1BFTlZJRFVBUFA6UyNlY3JldA==" // OPENVIDUAPP:S#ecret
	secret = "S#ecret"
)

// TestMain runs the program itself where a test has started this binary for that.
func TestMain(m *testing.M) {
	if os.Getenv("OPENVIDU_TEST_MAIN") != "" {
		main()
	}
	flag.Parse()
	flag.Set("test.parallel", "16") // they wait more than they work
	os.Exit(m.Run())
}

// A fakeOpenVidu answers with a handler and keeps the calls that it gets.
type fakeOpenVidu struct {
	*httptest.Server
	mu    sync.Mutex
	calls []*http.Request
	texts []string // the body of each call
}

func newFake(t testing.TB, answer http.HandlerFunc) *fakeOpenVidu {
	f := &fakeOpenVidu{}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.calls = append(f.calls, r)
		f.texts = append(f.texts, string(body))
		f.mu.Unlock()
		answer(w, r)
	}))
	f.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), 0)
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

// called returns method, path and body of each call so far.
func (f *fakeOpenVidu) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []string
	for i, r := range f.calls {
		calls = append(calls, r.Method+" "+r.RequestURI+" "+f.texts[i])
	}
	return calls
}

// forget drops the calls so far.
func (f *fakeOpenVidu) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.texts = nil, nil
}

// reply is an answer of OpenVidu, with its session cookie.
func reply(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", cookie+"; Path=/; HttpOnly")
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = bytes.Buffer{}
}

// check looks for what a log may never hold.
func (l *logBuffer) check(t testing.TB) {
	for _, hidden := range []string{secret, basic, "tok_", strings.TrimPrefix(cookie, "OVJSESSIONID="), "hidden"} {
		if strings.Contains(l.String(), hidden) {
			t.Errorf("the log holds %q:\n%s", hidden, l)
		}
	}
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// served is the server that a frontend talks to, its client of OpenVidu and its log.
type served struct {
	*httptest.Server
	ov  *openVidu
	log *logBuffer
}

// newServed returns the server for the OpenVidu at openviduURL, not yet started.
func newServed(t testing.TB, openviduURL string, origins ...string) *served {
	u, err := url.Parse(openviduURL)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Server: httptest.NewUnstartedServer(nil), ov: newOpenVidu(u, secret, false), log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	s.Config = newServer(newHandler(s.ov, origins, log), log)
	t.Cleanup(func() {
		s.Close()
		s.ov.close()
		s.log.check(t)
	})
	return s
}

func transport(ov *openVidu) *http.Transport { return ov.client.Transport.(*http.Transport) }

func (s *served) start() *served {
	s.Start()
	return s
}

// start starts the server with an OpenVidu that gives one answer.
func start(t testing.TB, answer http.HandlerFunc, origins ...string) (*served, *fakeOpenVidu) {
	fake := newFake(t, answer)
	fake.Start()
	return newServed(t, fake.URL, origins...).start(), fake
}

// do sends a request, with a header of names and values, and returns the response and its body.
func do(t testing.TB, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

// checkHeader compares the values of a response's header, "" for none.
func checkHeader(t *testing.T, resp *http.Response, want map[string]string) {
	t.Helper()
	for name, want := range want {
		got, found := resp.Header[name]
		if strings.Join(got, ", ") != want || found != (want != "") {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
}

func post(t testing.TB, url, body string) (int, string) {
	t.Helper()
	resp, got := do(t, "POST", url, strings.NewReader(body))
	return resp.StatusCode, got
}

// Each request is one promise: what the client gets, and what OpenVidu is asked.
func TestRequests(t *testing.T) {
	const (
		sessions    = "POST /api/sessions"
		connections = "POST /api/sessions/SessionA/connections"
		toSessions  = "POST /openvidu/api/sessions "
		toSessionA  = "POST /openvidu/api/sessions/SessionA/connection "
		notCalled   = ""
	)
	big := strings.Repeat(" ", maxBody)
	for _, tt := range []struct {
		promise, request, body string
		answer                 http.HandlerFunc
		status                 int
		text                   string // all of a 200, some of an error
		call                   string
	}{
		{"a session's id", sessions, `{"customSessionId":"SessionA"}`, reply(200, sessionAnswer), 200, "SessionA", toSessions + `{"customSessionId":"SessionA"}`},
		{"a missing body is {}", sessions, ``, reply(200, sessionAnswer), 200, "SessionA", toSessions + `{}`},
		{"properties go as they came", sessions, " {\"a\":1e999,\t\"ключ\" :\"\\u00e9\",\"a\":12345678901234567890}\r\n", reply(200, sessionAnswer), 200, "SessionA",
			toSessions + " {\"a\":1e999,\t\"ключ\" :\"\\u00e9\",\"a\":12345678901234567890}\r\n"},
		{"a session in use is the same session", sessions, `{"customSessionId":"SessionA"}`, reply(409, ""), 200, "SessionA", toSessions + `{"customSessionId":"SessionA"}`},
		{"the last customSessionId counts", sessions, `{"customSessionId":"A","customSessionId":"B"}`, reply(409, ""), 200, "B", toSessions + `{"customSessionId":"A","customSessionId":"B"}`},
		{"customSessionId may be written with escapes", sessions, `{"custom\u0053essionId":"A"}`, reply(409, ""), 200, "A", toSessions + `{"custom\u0053essionId":"A"}`},
		{"customSessionId's case matters", sessions, `{"CustomSessionId":"A"}`, reply(409, ""), 502, "409", toSessions + `{"CustomSessionId":"A"}`},
		{"a number in another case is no customSessionId", sessions, `{"CUSTOMSESSIONID":5}`, reply(200, sessionAnswer), 200, "SessionA", toSessions + `{"CUSTOMSESSIONID":5}`},
		{"customSessionId may be null", sessions, `{"customSessionId":null}`, reply(200, sessionAnswer), 200, "SessionA", toSessions + `{"customSessionId":null}`},
		{"409 without a customSessionId is no session", sessions, `{"customSessionId":null}`, reply(409, ""), 502, "409", toSessions + `{"customSessionId":null}`},
		{"customSessionId is a string", sessions, `{"customSessionId":5}`, nil, 400, "customSessionId should be a string", notCalled},
		{"the last customSessionId is a string", sessions, `{"customSessionId":"A","customSessionId":[]}`, nil, 400, "customSessionId should be a string", notCalled},
		{"a body is JSON", sessions, `{bad`, nil, 400, "JSON object", notCalled},
		{"a body is an object, no array", sessions, `[]`, nil, 400, "JSON object", notCalled},
		{"a body is an object, no null", sessions, `null`, nil, 400, "JSON object", notCalled},
		{"a body is an object, no string", connections, ` "x"`, nil, 400, "JSON object", notCalled},
		{"a body is one object", connections, `{} {}`, nil, 400, "JSON object", notCalled},
		{"white space is no body", connections, " \n", nil, 400, "JSON object", notCalled},
		{"a body of 100 KiB is taken", connections, "{}" + big[2:], reply(200, connectionAnswer), 200, token, toSessionA + "{}" + big[2:]},
		{"a body of 100 KiB and a byte is not", connections, "{}" + big[1:], nil, 413, "100 KiB", notCalled},

		{"a connection's token", connections, `{"role":"PUBLISHER"}`, reply(200, connectionAnswer), 200, token, toSessionA + `{"role":"PUBLISHER"}`},
		{"a missing body is {}, for a connection", connections, ``, reply(200, connectionAnswer), 200, token, toSessionA + `{}`},
		{"customSessionId means nothing to a connection", connections, `{"customSessionId":5}`, reply(200, connectionAnswer), 200, token, toSessionA + `{"customSessionId":5}`},
		{"an IP camera has no token", connections, `{"type":"IPCAM"}`, reply(200, ipcamAnswer), 200, "", toSessionA + `{"type":"IPCAM"}`},
		{"the query stays here", connections + "?a=b", ``, reply(200, connectionAnswer), 200, token, toSessionA + `{}`},
		{"a session id is one segment", "POST /api/sessions/a%2Fb%3F%2e%2E;c%25/connections", ``, reply(400, htmlAnswer), 400, "without saying why", "POST /openvidu/api/sessions/a%2Fb%3F..%3Bc%25/connection {}"},
		{"a session id may be of any letters", "POST /api/sessions/sesi%C3%B3n%20%00/connections", ``, reply(404, ""), 404, "session does not exist", "POST /openvidu/api/sessions/sesi%C3%B3n%20%00/connection {}"},
		{"a session id is not .", "POST /api/sessions/%2e/connections", ``, nil, 404, "session does not exist", notCalled},
		{"a session id is not ..", "POST /api/sessions/%2E./connections", ``, nil, 404, "session does not exist", notCalled},

		{"another path", "POST /api/session", ``, nil, 404, "not found", notCalled},
		{"a slash at the end", "POST /api/sessions/", ``, nil, 404, "not found", notCalled},
		{"a slash too many", "POST /api//sessions", ``, nil, 307, "", notCalled},
		{"no session id", "POST /api/sessions//connections", ``, nil, 307, "", notCalled},
		{"a path with ..", "POST /api/sessions/../sessions", ``, nil, 307, "", notCalled},
		{"OpenVidu's own path", "POST /openvidu/api/sessions", ``, nil, 404, "not found", notCalled},
		{"another method", "GET /api/sessions", ``, nil, 405, "Not Allowed", notCalled},
		{"another method, for a connection", "DELETE /api/sessions/SessionA/connections", ``, nil, 405, "Not Allowed", notCalled},
		{"OPTIONS that is no preflight", "OPTIONS /api/sessions", ``, nil, 405, "Not Allowed", notCalled},

		{"a 400 tells OpenVidu's message", connections, `{"role":"BOSS"}`, reply(400, refusedAnswer), 400, "Parameter role BOSS is not defined\n", toSessionA + `{"role":"BOSS"}`},
		{"a 400 tells it in one line", connections, ``, reply(400, `{"message":"one\r\n\ttwo"}`), 400, "one two\n", toSessionA + `{}`},
		{"a 400 without message tells the error", sessions, ``, reply(400, malformedAnswer), 400, "Bad Request\n", toSessions + `{}`},
		{"a 400 of HTML tells none of it", sessions, ``, reply(400, htmlAnswer, "Content-Type", "text/html;charset=utf-8"), 400, "OpenVidu refuses the request without saying why; if it does so each time, try https in OPENVIDU_URL\n", toSessions + `{}`},
		{"no such session", connections, ``, reply(404, ""), 404, "the session does not exist", toSessionA + `{}`},
		{"no API there", sessions, ``, reply(404, notFoundAnswer), 502, "OPENVIDU_URL", toSessions + `{}`},
		{"a wrong secret", sessions, ``, reply(401, unauthorizedAnswer, "WWW-Authenticate", `Basic realm="Realm"`), 502, "OPENVIDU_SECRET", toSessions + `{}`},
		{"a wrong secret, for a connection", connections, ``, reply(401, unauthorizedAnswer, "WWW-Authenticate", `Basic realm="Realm"`), 502, "OPENVIDU_SECRET", toSessionA + `{}`},
		{"a secret that does not do", connections, ``, reply(403, ""), 502, "OPENVIDU_SECRET", toSessionA + `{}`},
		{"a redirect to https is not followed", sessions, ``, reply(301, "", "Location", "/openvidu/api/sessions"), 502, "OPENVIDU_URL", toSessions + `{}`},
		{"a redirect that keeps the method is not followed", connections, ``, reply(308, "", "Location", "/x"), 502, "OPENVIDU_URL", toSessionA + `{}`},
		{"a redirect to nowhere", connections, ``, reply(302, "", "Location", "://"), 502, "OPENVIDU_URL", toSessionA + `{}`},
		{"OpenVidu fails", connections, ``, reply(500, brokenAnswer), 502, "500", toSessionA + `{}`},
		{"nginx before an OpenVidu that is down", connections, ``, reply(503, htmlAnswer, "Content-Type", "text/html"), 502, "503", toSessionA + `{}`},
		{"409 is nothing to a connection", connections, `{"customSessionId":"A"}`, reply(409, ""), 502, "409", toSessionA + `{"customSessionId":"A"}`},
		{"204 is no session", sessions, ``, reply(204, ""), 502, "204", toSessions + `{}`},
		{"an answer that is no JSON", sessions, ``, reply(200, htmlAnswer), 502, "JSON", toSessions + `{}`},
		{"an empty answer", connections, ``, reply(200, ""), 502, "JSON", toSessionA + `{}`},
		{"no session id in the answer", sessions, ``, reply(200, configAnswer), 502, "session id", toSessions + `{}`},
		{"no token in the answer", connections, ``, reply(200, sessionAnswer), 502, "token", toSessionA + `{}`},
		{"a token that is no string", connections, ``, reply(200, `{"token":5}`), 502, "JSON", toSessionA + `{}`},
		{"an answer of 1 MiB", sessions, ``, reply(200, sessionAnswer+strings.Repeat(" ", maxAnswer-len(sessionAnswer))), 200, "SessionA", toSessions + `{}`},
		{"an answer of 1 MiB and a byte", sessions, ``, reply(200, sessionAnswer+strings.Repeat(" ", maxAnswer+1-len(sessionAnswer))), 502, "1 MiB", toSessions + `{}`},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			s, fake := start(t, tt.answer)
			method, path, _ := strings.Cut(tt.request, " ")
			resp, got := do(t, method, s.URL+path, strings.NewReader(tt.body),
				"Content-Type", "text/plain", "Origin", "null", "Authorization", "Basic Zm9vOmJhcg==", "Cookie", "a=b")

			if resp.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", resp.StatusCode, tt.status)
			}
			if tt.status == 200 && got != tt.text || !strings.Contains(got, tt.text) {
				t.Errorf("got text %q, want %q", got, tt.text)
			}
			if calls := strings.Join(fake.called(), ", "); calls != tt.call {
				t.Errorf("got calls %.200q, want %.200q", calls, tt.call)
			}
			if tt.status >= 400 {
				if strings.Count(got, "\n") != 1 || strings.Contains(got, "127.0.0.1") {
					t.Errorf("got text %q, want one line without an inner address", got)
				}
			}
			if tt.status != 307 {
				checkHeader(t, resp, map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"})
			}
			checkHeader(t, resp, map[string]string{
				"Access-Control-Allow-Origin":      "*",
				"Allow":                            map[int]string{405: "POST"}[tt.status],
				"Www-Authenticate":                 "",
				"Set-Cookie":                       "",
				"Location":                         map[int]string{307: strings.Replace(strings.Replace(path, "/../sessions", "", 1), "//", "/", 1)}[tt.status],
				"Access-Control-Allow-Credentials": "",
			})
			decoded, _ := url.PathUnescape(strings.SplitN(path, "?", 2)[0])
			line := fmt.Sprintf("msg=request method=%s path=%s status=%d duration=", method, quoted(decoded), tt.status)
			if !strings.Contains(s.log.String(), line) || strings.Count(s.log.String(), "msg=request") != 1 {
				t.Errorf("got log\n%s, want one line with %s", s.log, line)
			}
			if got := strings.Contains(s.log.String(), "level=ERROR"); got != (tt.status >= 500) {
				t.Errorf("got log\n%s, want a cause for a 502 only", s.log)
			}
		})
	}
}

// quoted is s as slog writes it.
func quoted(s string) string {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "s", s)
	_, s, _ = strings.Cut(strings.TrimSuffix(b.String(), "\n"), " s=")
	return s
}

func TestCallHeader(t *testing.T) {
	s, fake := start(t, reply(200, connectionAnswer))
	do(t, "POST", s.URL+"/api/sessions/SessionA/connections", strings.NewReader(`{"a":1}`),
		"Content-Type", "text/plain", "Authorization", "Basic Zm9vOmJhcg==", "Cookie", "a=b", "X-Forwarded-For", "1.2.3.4", "User-Agent", "me")
	call := fake.calls[0]
	call.Header.Del("User-Agent") // of Go
	want := http.Header{"Authorization": {"Basic " + basic}, "Content-Type": {"application/json"}, "Content-Length": {"7"}}
	if !reflect.DeepEqual(call.Header, want) {
		t.Errorf("got header %v, want %v", call.Header, want)
	}
}

// A path before /openvidu/api is kept, with or without a slash at its end, and
// a password in the URL is not used.
func TestOpenViduURL(t *testing.T) {
	for suffix, want := range map[string]string{
		"":            "/openvidu/api/sessions",
		"/":           "/openvidu/api/sessions",
		"//":          "/openvidu/api/sessions",
		"/a/b":        "/a/b/openvidu/api/sessions",
		"/a%2Fb/?q#f": "/a%2Fb/openvidu/api/sessions",
		"/openvidu/":  "/openvidu/openvidu/api/sessions",
	} {
		fake := newFake(t, reply(200, sessionAnswer))
		fake.Start()
		s := newServed(t, strings.Replace(fake.URL, "http://", "http://user:password@", 1)+suffix).start()
		for range 2 {
			post(t, s.URL+"/api/sessions", "")
		}
		for i, call := range fake.calls {
			if call.RequestURI != want {
				t.Errorf("%q: got a call of %s, want %s", suffix, call.RequestURI, want)
			}
			if got := call.Header.Get("Authorization"); got != "Basic "+basic {
				t.Errorf("%q: got Authorization %q, want the secret's", suffix, got)
			}
			if got := call.Header.Get("Cookie"); got != [2]string{"", cookie}[i] {
				t.Errorf("%q: got Cookie %q with call %d", suffix, got, i)
			}
		}
	}
}

// OpenVidu's cookie goes with each call after it, until there is a new one.
func TestCookie(t *testing.T) {
	cookies := []string{"", "OVJSESSIONID=1; Path=/; HttpOnly", "", "OVJSESSIONID=2; Path=/; HttpOnly", "route=a; Path=/", "OVJSESSIONID=; Path=/; Max-Age=0", ""}
	want := []string{"", "", "OVJSESSIONID=1", "OVJSESSIONID=1", "OVJSESSIONID=2", "OVJSESSIONID=2; route=a", "route=a"}
	i := 0
	s, fake := start(t, func(w http.ResponseWriter, r *http.Request) {
		if cookies[i] != "" {
			w.Header().Set("Set-Cookie", cookies[i])
		}
		i++
		io.WriteString(w, connectionAnswer)
	})
	for i := range cookies {
		resp, got := do(t, "POST", s.URL+"/api/sessions/SessionA/connections", nil)
		if got != token || len(resp.Cookies()) > 0 {
			t.Errorf("call %d: got %q and cookies %v, want a token and none", i, got, resp.Cookies())
		}
		if got := fake.calls[i].Header.Get("Cookie"); got != want[i] {
			t.Errorf("call %d: got Cookie %q, want %q", i, got, want[i])
		}
		if fake.calls[i].Header.Get("Authorization") == "" {
			t.Errorf("call %d: got no credentials", i)
		}
	}
}

func TestCORS(t *testing.T) {
	list := []string{"https://example.com", "http://localhost:8080"}
	for _, tt := range []struct {
		promise     string
		origins     []string
		origin      string
		allow, vary string
	}{
		{"any origin", nil, "https://example.com", "*", ""},
		{"any origin, none sent", nil, "", "*", ""},
		{"any origin, null too", nil, "null", "*", ""},
		{"one of a list", list, "https://example.com", "https://example.com", "Origin"},
		{"another of a list", list, "http://localhost:8080", "http://localhost:8080", "Origin"},
		{"none sent", list, "", "", "Origin"},
		{"null", list, "null", "", "Origin"},
		{"another scheme", list, "http://example.com", "", "Origin"},
		{"another port", list, "http://localhost:80", "", "Origin"},
		{"a longer host", list, "https://example.com.evil.org", "", "Origin"},
		{"a subdomain", list, "https://a.example.com", "", "Origin"},
		{"another case", list, "https://EXAMPLE.com", "", "Origin"},
		{"the whole list", list, "https://example.com,http://localhost:8080", "", "Origin"},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			s, fake := start(t, reply(200, sessionAnswer), tt.origins...)
			header := []string{"Access-Control-Request-Headers", "content-type, x-a"}
			if tt.origin != "" {
				header = append(header, "Origin", tt.origin)
			}
			check := func(resp *http.Response, status int) {
				t.Helper()
				if resp.StatusCode != status {
					t.Errorf("got status %d, want %d", resp.StatusCode, status)
				}
				checkHeader(t, resp, map[string]string{"Access-Control-Allow-Origin": tt.allow, "Vary": tt.vary})
			}
			resp, _ := do(t, "POST", s.URL+"/api/sessions", nil, header...)
			check(resp, 200)
			if got := resp.Header["Access-Control-Allow-Headers"]; got != nil {
				t.Errorf("got Access-Control-Allow-Headers %q without a preflight", got)
			}
			resp, _ = do(t, "POST", s.URL+"/nowhere", nil, header...)
			check(resp, 404)

			for _, path := range []string{"/api/sessions", "/api/sessions/SessionA/connections", "/nowhere"} {
				resp, got := do(t, "OPTIONS", s.URL+path, nil, append(header, "Access-Control-Request-Method", "POST")...)
				check(resp, 204)
				checkHeader(t, resp, map[string]string{
					"Access-Control-Allow-Methods": "POST",
					"Access-Control-Allow-Headers": "content-type, x-a",
					"Access-Control-Max-Age":       "7200",
				})
				if got != "" {
					t.Errorf("preflight: got body %q, want none", got)
				}
			}
			if got := len(fake.called()); got != 1 {
				t.Errorf("got %d calls, want one of the POST and none of a preflight", got)
			}
		})
	}
}

// env is an environment of NAME, value, NAME, value …
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func dotenv(text string) fs.FS { return fstest.MapFS{".env": {Data: []byte(text)}} }

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		promise string
		env     []string
		dotenv  string
		want    string // port URL secret skip origins, or the lines of the error
	}{
		{"defaults", nil, "", "5000 http://localhost:4443/ MY_SECRET false []"},
		{"the environment", []string{"SERVER_PORT", "0", "OPENVIDU_URL", "https://a/b", "OPENVIDU_SECRET", "s", "OPENVIDU_TLS_SKIP_VERIFY", "1", "CORS_ALLOWED_ORIGINS", "https://a"}, "", "0 https://a/b s true [https://a]"},
		{".env", nil, "SERVER_PORT=65535\nOPENVIDU_URL=https://a\nOPENVIDU_SECRET=s\nOPENVIDU_TLS_SKIP_VERIFY=true\nCORS_ALLOWED_ORIGINS=https://a, capacitor://localhost ,http://[::1]:80", "65535 https://a s true [https://a capacitor://localhost http://[::1]:80]"},
		{"the environment wins", []string{"OPENVIDU_SECRET", "env"}, "OPENVIDU_SECRET=file", "5000 http://localhost:4443/ env false []"},
		{"empty is unset", []string{"OPENVIDU_SECRET", ""}, "OPENVIDU_SECRET=file\nSERVER_PORT=\nCORS_ALLOWED_ORIGINS=''", "5000 http://localhost:4443/ file false []"},
		{"everything wrong at once", []string{"SERVER_PORT", "65536", "OPENVIDU_URL", "localhost:4443", "OPENVIDU_TLS_SKIP_VERIFY", "yes", "CORS_ALLOWED_ORIGINS", "https://a/,https://b"}, "junk",
			".env:1: should be NAME=VALUE\nSERVER_PORT: should be a number from 0 to 65535\nOPENVIDU_URL: should be an http or https URL with a host, like http://localhost:4443/\n" +
				"OPENVIDU_TLS_SKIP_VERIFY: should be true or false\nCORS_ALLOWED_ORIGINS: should be * or a list like https://example.com,http://localhost:8080; \"https://a/\" is no origin"},
		{"a port is a number", []string{"SERVER_PORT", "http"}, "", "SERVER_PORT: .*"},
		{"a port is not negative", []string{"SERVER_PORT", "-1"}, "", "SERVER_PORT: .*"},
		{"a URL has a host", []string{"OPENVIDU_URL", "http://:4443/"}, "", "OPENVIDU_URL: .*"},
		{"a URL has a scheme", []string{"OPENVIDU_URL", "//localhost"}, "", "OPENVIDU_URL: .*"},
		{"a URL is of http", []string{"OPENVIDU_URL", "ftp://localhost"}, "", "OPENVIDU_URL: .*"},
		{"a URL's password is not told", []string{"OPENVIDU_URL", "http://a:hidden@ b"}, "", "OPENVIDU_URL: should be an http or https URL with a host, like http://localhost:4443/"},
		{"an origin has a scheme", []string{"CORS_ALLOWED_ORIGINS", "example.com"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin has a host", []string{"CORS_ALLOWED_ORIGINS", "http://:80"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin has no path", []string{"CORS_ALLOWED_ORIGINS", "https://a/b"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin has no slash", []string{"CORS_ALLOWED_ORIGINS", "https://a,https://b/"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin has no user", []string{"CORS_ALLOWED_ORIGINS", "https://a@b"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin is in lower case", []string{"CORS_ALLOWED_ORIGINS", "https://A"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin is no pattern", []string{"CORS_ALLOWED_ORIGINS", "https://*.a"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin is not null", []string{"CORS_ALLOWED_ORIGINS", "null"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"an origin is not empty", []string{"CORS_ALLOWED_ORIGINS", "https://a,"}, "", "CORS_ALLOWED_ORIGINS: .*"},
		{"* is alone", []string{"CORS_ALLOWED_ORIGINS", "*,https://a"}, "", "CORS_ALLOWED_ORIGINS: .*"},
	} {
		cfg, err := loadConfig(env(tt.env...), dotenv(tt.dotenv))
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.Join([]string{cfg.port, cfg.openviduURL.String(), cfg.secret, fmt.Sprint(cfg.tlsSkipVerify), fmt.Sprint(cfg.origins)}, " ")
		}
		if match, _ := regexp.MatchString("^"+tt.want+"$", got); got != tt.want && !match {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.promise, got, tt.want)
		}
	}
	if _, err := loadConfig(env(), fstest.MapFS{}); err != nil {
		t.Errorf("no .env: got %v", err)
	}
	if _, err := loadConfig(env(), fstest.MapFS{".env/a": {}}); err == nil || !strings.Contains(err.Error(), ".env") {
		t.Errorf(".env is a folder: got %v, want an error", err)
	}
}

func TestDotenv(t *testing.T) {
	const (
		noName  = ".env:1: should be NAME=VALUE"
		noQuote = ".env:1: the value should end with the quote that it begins with"
	)
	for text, want := range map[string]string{
		"OPENVIDU_SECRET=a":                                   "a",
		"\ufeffOPENVIDU_SECRET=a":                             "a",
		"OPENVIDU_SECRET=a\r\nSERVER_PORT=1\r\n":              "a",
		"\n  \n# x\n  # OPENVIDU_SECRET=b\nOPENVIDU_SECRET=a": "a",
		"export OPENVIDU_SECRET=a":                            "a",
		"  export\tOPENVIDU_SECRET = a  ":                     "a",
		"OPENVIDU_SECRET =\ta b ":                             "a b",
		"OPENVIDU_SECRET=a=b==":                               "a=b==",
		"OPENVIDU_SECRET=a # b":                               "a",
		"OPENVIDU_SECRET=a\t# b # c":                          "a",
		"OPENVIDU_SECRET=a #b":                                "a",
		"OPENVIDU_SECRET=a# b":                                "a# b",
		"OPENVIDU_SECRET=a#b":                                 "a#b",
		"OPENVIDU_SECRET=#b":                                  "#b",
		"OPENVIDU_SECRET= # b":                                "MY_SECRET",
		"OPENVIDU_SECRET=":                                    "MY_SECRET",
		`OPENVIDU_SECRET="a # b"`:                             "a # b",
		`OPENVIDU_SECRET=' a "b" ' # c`:                       ` a "b" `,
		`OPENVIDU_SECRET="a\n$b"#c`:                           `a\n$b`,
		`OPENVIDU_SECRET=a"b`:                                 `a"b`,
		`OPENVIDU_SECRET=""`:                                  "MY_SECRET",
		"OPENVIDU_SECRET=a\nOPENVIDU_SECRET=b":                "b",
		"OPENVIDU_SECRET=a\nOPENVIDU_SECRET=":                 "MY_SECRET",
		"other.name-1=x\nOPENVIDU_SECRET=a":                   "a",
		"openvidu_secret=a":                                   "MY_SECRET",
		"hidden":                                              noName,
		"=hidden":                                             noName,
		"export":                                              noName,
		"OPENVIDU_SECRET hidden=a":                            noName,
		"OPENVIDU_SECRET: hidden=a":                           noName,
		"OPENVIDU_SECRET:hidden=a":                            noName,
		`"OPENVIDU_SECRET"=hidden`:                            noName,
		`OPENVIDU_SECRET="hidden`:                             noQuote,
		`OPENVIDU_SECRET='hidden"`:                            noQuote,
		`OPENVIDU_SECRET="hidden" a`:                          noQuote,
		"OPENVIDU_SECRET='":                                   noQuote,
		"hidden\n\nhidden":                                    noName + "\n.env:3: should be NAME=VALUE",
	} {
		cfg, err := loadConfig(env(), dotenv(text))
		got := cfg.secret
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// .env.example is what it says, and -h and the README tell the same.
func TestEnvExample(t *testing.T) {
	want, _ := loadConfig(env(), fstest.MapFS{})
	example, err := os.ReadFile(".env.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := loadConfig(env(), dotenv(string(example))); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want the defaults, %v", got, err, want)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"SERVER_PORT": defaultPort, "OPENVIDU_URL": defaultURL, "OPENVIDU_SECRET": defaultSecret,
		"OPENVIDU_TLS_SKIP_VERIFY": defaultSkipVerify, "CORS_ALLOWED_ORIGINS": defaultOrigins,
	} {
		if !strings.Contains(string(example), "\n"+name+"="+value+"\n") {
			t.Errorf(".env.example: no line %s=%s", name, value)
		}
		if found, _ := regexp.MatchString(`(?s)`+name+` [^(]*\(default `+regexp.QuoteMeta(value)+`\)`, usage); !found {
			t.Errorf("-h: no %s with the default %s", name, value)
		}
		if !strings.Contains(string(readme), "| `"+name+"` | `"+value+"` |") {
			t.Errorf("README.md: no %s with the default %s", name, value)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		arg    string
		status int
		stdout string
		stderr string
	}{
		{"-h", 0, usage, ""},
		{"--help", 0, usage, ""},
		{"-x", 2, "", usage},
		{"5000", 2, "", usage},
	} {
		var stdout, stderr strings.Builder
		status := run(context.Background(), []string{tt.arg}, env(), fstest.MapFS{}, &stdout, &stderr)
		if status != tt.status || stdout.String() != tt.stdout || stderr.String() != tt.stderr {
			t.Errorf("%s: got status %d, stdout %q, stderr %q", tt.arg, status, &stdout, &stderr)
		}
	}
}

// A program is the whole of it, from settings to shutdown.
type program struct {
	url    string
	log    *logBuffer
	stop   context.CancelFunc
	status chan int
}

func runProgram(t *testing.T, pairs ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{log: &logBuffer{}, stop: stop, status: make(chan int, 1)}
	go func() {
		p.status <- run(ctx, nil, env(append(pairs, "SERVER_PORT", "0")...), fstest.MapFS{}, io.Discard, p.log)
	}()
	t.Cleanup(func() {
		stop()
		p.log.check(t)
	})
	port := waitFor(t, p.log, `msg=listening address=\S+:(\d+) `)
	p.url = "http://127.0.0.1:" + port
	return p
}

// waitFor waits until what is written to log matches pattern, and returns the
// last group of it.
func waitFor(t *testing.T, log fmt.Stringer, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if found := re.FindStringSubmatch(log.String()); found != nil {
			return found[len(found)-1]
		}
	}
	t.Fatalf("got log\n%s\nwant %s", log, pattern)
	return ""
}

func TestProgram(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan bool), make(chan bool)
	fake := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/openvidu/api/config":
			reply(200, configAnswer)(w, r)
		case r.URL.Path == "/openvidu/api/sessions":
			reply(200, sessionAnswer)(w, r)
		default:
			arrived <- true
			<-release
			reply(200, connectionAnswer)(w, r)
		}
	})
	fake.Start()
	openviduURL := strings.Replace(fake.URL, "http://", "http://user:hidden@", 1)
	p := runProgram(t, "OPENVIDU_URL", openviduURL, "OPENVIDU_SECRET", secret, "OPENVIDU_TLS_SKIP_VERIFY", "true")
	waitFor(t, p.log, `level=INFO msg="OpenVidu 2.31.0 is ready"`)
	waitFor(t, p.log, ` OPENVIDU_URL=http://user:xxxxx@127.0.0.1`)
	waitFor(t, p.log, `level=WARN msg="OPENVIDU_TLS_SKIP_VERIFY is true`)

	if status, got := post(t, p.url+"/api/sessions", ""); status != 200 || got != "SessionA" {
		t.Errorf("got %d %q, want a session", status, got)
	}
	if got := fake.calls[1].Header.Get("Cookie"); got != cookie {
		t.Errorf("got Cookie %q, want that of the check at the start", got)
	}
	if a, b := fake.calls[0].RemoteAddr, fake.calls[1].RemoteAddr; a != b {
		t.Errorf("got connections %s and %s, want one", a, b)
	}

	// A stop answers what is in flight, and takes no more.
	inFlight := make(chan string)
	go func() {
		_, got := post(t, p.url+"/api/sessions/SessionA/connections", "")
		inFlight <- got
	}()
	<-arrived
	p.stop()
	waitFor(t, p.log, "msg=\"stopping")
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	if got := <-inFlight; got != token {
		t.Errorf("got %q for the request in flight, want its token", got)
	}
	if got := <-p.status; got != 0 {
		t.Errorf("got exit status %d, want 0", got)
	}
}

// The check at the start tells what is to be mended, and the server serves on.
func TestStartCheck(t *testing.T) {
	for _, tt := range []struct {
		promise string
		answer  http.HandlerFunc
		want    string
	}{
		{"a wrong secret", reply(401, unauthorizedAnswer), "OPENVIDU_SECRET"},
		{"http to a port of https", reply(400, "Client sent an HTTP request to an HTTPS server.\n"), "OPENVIDU_URL"},
		{"a wrong path", reply(404, notFoundAnswer), "OPENVIDU_URL"},
		{"another server", reply(200, "<html>"), "OPENVIDU_URL"},
		{"another server with JSON", reply(200, "{}"), "no version.*OPENVIDU_URL"},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			fake := newFake(t, tt.answer)
			fake.Start()
			p := runProgram(t, "OPENVIDU_URL", fake.URL)
			waitFor(t, p.log, `level=WARN msg="OpenVidu is not ready" cause=.*`+tt.want)
			if status, _ := post(t, p.url+"/nowhere", ""); status != 404 {
				t.Errorf("got status %d, want 404 as ever", status)
			}
		})
	}
}

// A stop leaves nothing behind, not even while the check waits for OpenVidu.
func TestStop(t *testing.T) {
	arrived := make(chan bool, 1)
	for promise, check := range map[string]http.HandlerFunc{
		"checked": reply(200, configAnswer),
		"checking": func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			<-r.Context().Done()
		},
	} {
		fake := newFake(t, check)
		fake.Start()
		before := leftovers()
		p := runProgram(t, "OPENVIDU_URL", fake.URL)
		if promise == "checked" {
			waitFor(t, p.log, "is ready")
		} else {
			<-arrived
		}
		p.stop()
		if got := <-p.status; got != 0 || strings.Contains(p.log.String(), "WARN") {
			t.Errorf("%s: got exit status %d and log\n%s", promise, got, p.log)
		}
		checkLeftovers(t, before)
	}
}

// A context that is cancelled before the program starts makes it stop at once,
// without a data race: signals arrive at any moment.
func TestCancelledContext(t *testing.T) {
	t.Parallel()
	fake := newFake(t, reply(200, configAnswer))
	fake.Start()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range 300 {
		log := &logBuffer{}
		if status := run(ctx, nil, env("SERVER_PORT", "0", "OPENVIDU_URL", fake.URL), fstest.MapFS{}, io.Discard, log); status != 0 {
			t.Fatalf("run %d: got exit status %d, want 0\n%s", i, status, log)
		}
	}
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, tt := range []struct{ promise, port, want string }{
		{"a port that is taken", port, "^SERVER_PORT: port " + port + " .*\n$"},
		{"a setting that is wrong", "x", "^SERVER_PORT: should be a number from 0 to 65535\n$"},
	} {
		var stderr strings.Builder
		status := run(context.Background(), nil, env("SERVER_PORT", tt.port), fstest.MapFS{}, io.Discard, &stderr)
		if match, _ := regexp.MatchString(tt.want, stderr.String()); status != 1 || !match {
			t.Errorf("%s: got status %d and %q, want 1 and %s", tt.promise, status, &stderr, tt.want)
		}
	}
}

// A first signal lets requests in flight finish, a second one ends the program.
func TestSignals(t *testing.T) {
	t.Parallel()
	arrived := make(chan bool, 1)
	fake := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			arrived <- true
			<-r.Context().Done()
		}
	})
	fake.Start()
	for _, tt := range []struct {
		first, second os.Signal
		want          string
	}{
		{os.Interrupt, nil, "<nil>"},
		{syscall.SIGTERM, nil, "<nil>"},
		{os.Interrupt, syscall.SIGTERM, "signal: terminated"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"OPENVIDU_TEST_MAIN=1", "SERVER_PORT=0", "OPENVIDU_URL=" + fake.URL, "GORACE=atexit_sleep_ms=0"}
		cmd.Dir = t.TempDir()
		log := &logBuffer{}
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		port := waitFor(t, log, `msg=listening address=\S+:(\d+) `)
		if tt.second != nil {
			go http.Post("http://127.0.0.1:"+port+"/api/sessions", "", nil)
			<-arrived
		}
		cmd.Process.Signal(tt.first)
		waitFor(t, log, "msg=\"stopping")
		if tt.second != nil {
			go func() {
				for cmd.Process.Signal(tt.second) == nil {
					time.Sleep(time.Millisecond)
				}
			}()
		}
		if err := cmd.Wait(); fmt.Sprint(err) != tt.want {
			t.Errorf("%v, %v: got %v, want %s\n%s", tt.first, tt.second, err, tt.want, log)
		}
	}
}

// hijack takes the connection of a call, whose answer is then written by hand.
func hijack(w http.ResponseWriter) *net.TCPConn {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return c.(*net.TCPConn)
}

// reset is an answer that is no more than the end of the connection.
func reset(w http.ResponseWriter, r *http.Request) {
	c := hijack(w)
	c.SetLinger(0)
	c.Close()
}

// write is an answer that is no more than some bytes.
func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := hijack(w)
		io.WriteString(c, text)
		c.Close()
	}
}

// After all that OpenVidu and clients can do, nothing is left over.
func TestFaults(t *testing.T) {
	before := leftovers()
	t.Run("", func(t *testing.T) {
		t.Run("OpenVidu", testFaultsOfOpenVidu)
		t.Run("clients", testFaultsOfClients)
	})
	checkLeftovers(t, before)
}

// Whatever OpenVidu does, the client is told in time, and is served on.
func testFaultsOfOpenVidu(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		answer http.HandlerFunc
		status int
		text   string
	}{
		"reset":        {reset, 502, "it is cut off: "},
		"no-answer":    {write(""), 502, "it is cut off: "},
		"cut-header":   {write("HTTP/1.1 200 OK\r\nContent-Le"), 502, "cut off or not HTTP"},
		"cut-body":     {write("HTTP/1.1 200 OK\r\nContent-Length: 535\r\n\r\n" + connectionAnswer[:500]), 502, "it is cut off: "},
		"cut-chunk":    {write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n217\r\n" + connectionAnswer[:500]), 502, "it is cut off: "},
		"bad-chunk":    {write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n" + token), 502, "not HTTP"},
		"ssh":          {write("SSH-2.0-" + cookie + "\r\n"), 502, "not HTTP"},
		"bad-header":   {write("HTTP/1.1 200 OK\r\nSet-Cookie " + cookie + "\r\n\r\n"), 502, "not HTTP"},
		"long-header":  {write("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"), 502, "not HTTP"},
		"other-switch": {write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), 502, "101"},
		"no-end": {func(w http.ResponseWriter, r *http.Request) {
			for err := error(nil); err == nil; {
				_, err = io.WriteString(w, connectionAnswer)
			}
		}, 502, "1 MiB"},
		"hang-in-500": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 502, "500"},
		"hang": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504, "in time"},
		"hang-in-body": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, connectionAnswer[:100])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 504, "in time"},
	}
	fake := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if fault, found := faults[strings.Split(r.URL.Path, "/")[4]]; found {
			fault.answer(w, r)
			return
		}
		reply(200, connectionAnswer)(w, r)
	})
	fake.Start()
	s := newServed(t, fake.URL)
	s.ov.timeout = 700 * time.Millisecond
	s.start()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, got := post(t, s.URL+"/api/sessions/"+name+"/connections", "")
			if status != fault.status || !strings.Contains(got, fault.text) || strings.Contains(got, "127.0.0.1") {
				t.Errorf("got %d %q, want %d and %q", status, got, fault.status, fault.text)
			}
			if status, got := post(t, s.URL+"/api/sessions/SessionA/connections", ""); status != 200 {
				t.Errorf("the next request: got %d %q, want a token", status, got)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	fake := newFake(t, nil)
	fake.Start()
	s := newServed(t, fake.URL).start()
	fake.Close()
	status, got := post(t, s.URL+"/api/sessions", "")
	if want := "OpenVidu can't be reached: start it, or correct OPENVIDU_URL\n"; status != 502 || got != want {
		t.Errorf("got %d %q, want 502 %q", status, got, want)
	}
	waitFor(t, s.log, `level=ERROR .*cause="OpenVidu can't be reached.*: dial tcp 127.0.0.1`)
}

func TestTLS(t *testing.T) {
	fake := newFake(t, reply(200, sessionAnswer))
	fake.StartTLS()
	plain := newFake(t, reply(200, sessionAnswer))
	plain.Start()
	for _, tt := range []struct {
		promise, url string
		skipVerify   bool
		status       int
		text         string
	}{
		{"a certificate that is not trusted", fake.URL, false, 502, "SSL_CERT_FILE .*OPENVIDU_TLS_SKIP_VERIFY"},
		{"any certificate with OPENVIDU_TLS_SKIP_VERIFY", fake.URL, true, 200, "SessionA"},
		{"https to a port of http", strings.Replace(plain.URL, "http", "https", 1), true, 502, "OPENVIDU_URL"},
		{"http to a port of https", strings.Replace(fake.URL, "https", "http", 1), false, 400, "https in OPENVIDU_URL"},
	} {
		s := newServed(t, tt.url)
		transport(s.ov).TLSClientConfig.InsecureSkipVerify = tt.skipVerify
		status, got := post(t, s.start().URL+"/api/sessions", "")
		if match, _ := regexp.MatchString(tt.text, got); status != tt.status || !match {
			t.Errorf("%s: got %d %q, want %d %s", tt.promise, status, got, tt.status, tt.text)
		}
	}
}

// A request on a kept connection that OpenVidu has just closed still succeeds.
func TestClosedConnections(t *testing.T) {
	const kept = 8
	type requests struct{} // the number of requests on a connection, in its context
	var fresh atomic.Int32
	full := make(chan bool)
	fake := newFake(t, reply(200, connectionAnswer))
	answer := fake.Config.Handler
	fake.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, requests{}, new(atomic.Int32))
	}
	fake.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(requests{}).(*atomic.Int32).Add(1) > 1 {
			reset(w, r)
			return
		}
		if fresh.Add(1) == kept {
			close(full)
		}
		<-full
		answer.ServeHTTP(w, r)
	})
	fake.Start()
	s := newServed(t, fake.URL).start()
	atOnce(kept, func() { post(t, s.URL+"/api/sessions/SessionA/connections", "") })
	for i := range 50 {
		if i == 25 {
			fake.CloseClientConnections()
		}
		if status, got := post(t, s.URL+"/api/sessions/SessionA/connections", "{}"); status != 200 {
			t.Fatalf("request %d: got %d %q, want a token\n%s", i, status, got, s.log)
		}
	}
}

// Calls share a bounded number of connections, and keep them.
func TestConnectionPool(t *testing.T) {
	const clients = 2 * maxConnections
	var mu sync.Mutex
	connections, active := map[string]bool{}, 0
	full := make(chan bool)
	s, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connections[r.RemoteAddr] = true
		if active++; active == maxConnections {
			close(full)
		}
		mu.Unlock()
		<-full
		reply(200, connectionAnswer)(w, r)
	})
	for range 2 {
		atOnce(clients, func() {
			if status, got := post(t, s.URL+"/api/sessions/SessionA/connections", ""); status != 200 {
				t.Errorf("got %d %q, want a token", status, got)
			}
		})
	}
	if got := len(connections); got != maxConnections {
		t.Errorf("got %d connections for %d clients, want %d", got, clients, maxConnections)
	}
}

// Answers that are not read to their end do not use the connections up.
func TestConnectionsAreGivenBack(t *testing.T) {
	s, _ := start(t, reply(401, unauthorizedAnswer))
	s.ov.timeout = time.Second
	for i := range maxConnections + 1 {
		if status, got := post(t, s.URL+"/api/sessions", ""); status != 502 {
			t.Fatalf("request %d: got %d %q, want 502", i, status, got)
		}
	}
}

// atOnce calls f n times, all at once.
func atOnce(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

// Whatever a client does, it gets an answer or is cut off.
func testFaultsOfClients(t *testing.T) {
	t.Parallel()
	const head = "POST /api/sessions/SessionA/connections HTTP/1.1\r\nHost: localhost\r\n"
	fake := newFake(t, reply(200, connectionAnswer))
	fake.Start()
	for _, tt := range []struct {
		promise, head string
		body          func(c net.Conn)
		want          string // of the status line
		text          string
	}{
		{"a header that is never finished", "POST /api/sessions HTTP/1.1\r\n", nil, "", ""},
		{"a byte now and then", head + "Content-Length: 1000\r\n\r\n", func(c net.Conn) {
			for err := error(nil); err == nil; time.Sleep(10 * time.Millisecond) {
				_, err = c.Write([]byte(" "))
			}
		}, "408 Request Timeout", "in time"},
		{"half a body", head + "Content-Length: 1000\r\n\r\n", func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }, "400 Bad Request", "can't be read"},
		{"a chunk that is none", head + "Transfer-Encoding: chunked\r\n\r\nx\r\n", nil, "400 Bad Request", "can't be read"},
		{"4 MiB in chunks", head + "Transfer-Encoding: chunked\r\n\r\n", func(c net.Conn) {
			for range 4 << 10 {
				fmt.Fprintf(c, "400\r\n%01024d\r\n", 0)
			}
		}, "413 Request Entity Too Large", "100 KiB"},
		{"4 MiB by its length", head + "Content-Length: 4194304\r\n\r\n", nil, "413 Request Entity Too Large", "100 KiB"},
		{"a chunk too many, and then nothing", head + "Transfer-Encoding: chunked\r\n\r\n20000\r\n" + strings.Repeat(" ", 102401), nil, "413 Request Entity Too Large", "100 KiB"},
		{"64 KiB of headers", head + "A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", nil, "431 Request Header Fields Too Large", ""},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			s := newServed(t, fake.URL)
			if tt.want == "" || tt.text == "in time" { // the others are answered at once
				s.Config.ReadHeaderTimeout = 200 * time.Millisecond
				s.Config.ReadTimeout = 200 * time.Millisecond
			}
			s.start()
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(c, tt.head)
			if tt.body != nil {
				go tt.body(c)
			}
			got, err := http.ReadResponse(bufio.NewReader(c), nil)
			if tt.want == "" {
				if err != io.ErrUnexpectedEOF {
					t.Errorf("got %v, want the connection to be closed", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			defer got.Body.Close()
			body, _ := io.ReadAll(got.Body)
			if got.Status != tt.want || !strings.Contains(string(body), tt.text) || got.Header.Get("Access-Control-Allow-Origin") != "*" && got.StatusCode != 431 {
				t.Errorf("got %s %q with header %v, want %s", got.Status, body, got.Header, tt.want)
			}
			if status, got := post(t, s.URL+"/api/sessions/SessionA/connections", ""); status != 200 {
				t.Errorf("the next request: got %d %q, want a token", status, got)
			}
		})
	}
}

// When the client goes away, so does the call, and nobody calls it an error.
func TestClientLeaves(t *testing.T) {
	arrived, cancelled := make(chan bool), make(chan bool)
	s, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
		cancelled <- true
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	req, _ := http.NewRequestWithContext(ctx, "POST", s.URL+"/api/sessions", nil)
	if _, err := http.DefaultTransport.RoundTrip(req); err == nil {
		t.Error("got an answer, want none")
	}
	<-cancelled
	waitFor(t, s.log, "msg=request .* status=499")
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("got log\n%s, want no error", s.log)
	}
}

func TestTimeouts(t *testing.T) {
	s := newServer(nil, slog.Default())
	if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second || s.ReadTimeout < s.ReadHeaderTimeout || s.IdleTimeout < time.Minute {
		t.Errorf("got %v for headers, %v for a request, %v idle", s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout)
	}
	ov := newServed(t, "http://localhost").ov
	if got, want := s.WriteTimeout, s.ReadTimeout+ov.timeout; got <= want {
		t.Errorf("got %v for a reply, want more than %v: a slow body, and a call that takes its whole time", got, want)
	}
	if ov.timeout != 20*time.Second || transport(ov).IdleConnTimeout != 30*time.Second || transport(ov).TLSHandshakeTimeout != 5*time.Second {
		t.Errorf("got %v for a call, %v for an idle connection, %v for a handshake; want 20s, 30s, 5s", ov.timeout, transport(ov).IdleConnTimeout, transport(ov).TLSHandshakeTimeout)
	}
}

// leftovers counts the goroutines and the open files, when they have settled.
func leftovers() [2]int {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for last := [2]int{}; ; time.Sleep(5 * time.Millisecond) {
		files, _ := os.ReadDir("/dev/fd")
		now := [2]int{runtime.NumGoroutine(), len(files)}
		if now == last {
			return now
		}
		last = now
	}
}

// checkLeftovers waits until there are no more than before.
func checkLeftovers(t *testing.T, before [2]int) {
	t.Helper()
	var now [2]int
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if now = leftovers(); now[0] <= before[0] && now[1] <= before[1] {
			return
		}
	}
	t.Errorf("got %d goroutines and %d files, want %d and %d as before", now[0], now[1], before[0], before[1])
}

// Of 20,000 tokens under load none is lost, and memory and goroutines are back
// in the end where they were.
func TestLoad(t *testing.T) {
	const clients = 50
	tokens := 20_000
	if info, _ := debug.ReadBuildInfo(); slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		tokens = 1_000 // the race detector takes ten times as long
	}
	before := leftovers()
	var heap [2]uint64
	t.Run("", func(t *testing.T) {
		s, _ := benchmarked(t)
		for i, n := range []int{clients, tokens} {
			atOnce(clients, func() {
				left := n / clients
				more := func() bool { left--; return left >= 0 }
				if err := load(s.Listener.Addr().String(), tokenPath, "{}", token, more); err != nil {
					t.Error(err)
				}
			})
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[i] = m.HeapAlloc
		}
	})
	if heap[1] > heap[0]+1<<20 {
		t.Errorf("got a heap of %d KiB, want about the %d KiB of the start", heap[1]>>10, heap[0]>>10)
	}
	checkLeftovers(t, before)
}

// listen serves connections one by one, each in a goroutine, and returns the address.
func listen(t testing.TB, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// readTo reads until what it has read ends with text.
func readTo(c net.Conn, text string) error {
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4096)
	for n := 0; ; {
		m, err := c.Read(buf[n:])
		n += m
		switch {
		case bytes.HasSuffix(buf[:n], []byte(text)):
			return nil
		case err != nil:
			return fmt.Errorf("%w after %q", err, buf[:n])
		}
	}
}

// The hop from a client to OpenVidu and back, in this process: with this server
// for a session and for a token, and with no more than a ReverseProxy.
func BenchmarkSession(b *testing.B) {
	s, _ := benchmarked(b)
	benchmark(b, s.Listener.Addr().String(), "/api/sessions", `{"customSessionId":"SessionA"}`, "SessionA")
}

func BenchmarkToken(b *testing.B) {
	s, _ := benchmarked(b)
	benchmark(b, s.Listener.Addr().String(), tokenPath, "{}", token)
}

func BenchmarkReverseProxy(b *testing.B) {
	_, fake := benchmarked(b)
	transport := &http.Transport{MaxIdleConnsPerHost: maxConnections}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = "http", fake, "/openvidu/api/sessions/SessionA/connection"
		r.Out.SetBasicAuth("OPENVIDUAPP", secret)
	}})
	b.Cleanup(func() {
		proxy.Close()
		transport.CloseIdleConnections()
	})
	benchmark(b, proxy.Listener.Addr().String(), tokenPath, "{}", connectionAnswer)
}

// benchmarked returns the server with its log on, and the address of an
// OpenVidu that takes as little time as it can.
func benchmarked(b testing.TB) (*served, string) {
	answer := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	session, connection := answer(sessionAnswer), answer(connectionAnswer)
	fake := listen(b, func(c net.Conn) {
		buf := make([]byte, 4096)
		for n := 0; ; {
			m, err := c.Read(buf[n:])
			if n += m; err != nil {
				return
			}
			if buf[n-1] != '}' {
				continue // the body is still to come
			}
			if bytes.Contains(buf[:n], []byte("/connection ")) {
				io.WriteString(c, connection)
			} else {
				io.WriteString(c, session)
			}
			n = 0
		}
	})
	s := newServed(b, "http://"+fake)
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { file.Close() })
	log := slog.New(slog.NewTextHandler(file, nil))
	s.Config = newServer(newHandler(s.ov, nil, log), log)
	return s.start(), fake
}

// benchmark puts load on path from 32 clients.
func benchmark(b *testing.B, address, path, body, want string) {
	b.ReportAllocs()
	b.SetParallelism((32 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		if err := load(address, path, body, want, pb.Next); err != nil {
			b.Error(err)
		}
	})
}

const tokenPath = "/api/sessions/SessionA/connections"

// load is a client with as little work as it can have: while there is more to
// do, it posts body to path on one connection, and reads until want has come.
func load(address, path, body, want string, more func() bool) error {
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	for more() {
		io.WriteString(c, request)
		if err := readTo(c, "\r\n\r\n"+want); err != nil {
			return err
		}
	}
	return nil
}

// Whatever a stranger sends, OpenVidu gets one of its two calls or none, and
// the stranger gets no 5xx and no header that is broken.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/api/sessions", "/api/sessions/a/connections", "/api/sessions/%2e%2e/connections", "/api/sessions/a%2F..%2Fb/connections", "//api/sessions", "/api/sessions/../x?y#z", "http://x/api/sessions", "*"} {
		f.Add(path, []byte(`{"customSessionId":"a"}`))
	}
	for _, body := range []string{"", " ", "null", "[]", "{", "{}", "{}{}", `{"customSessionId":"a\u0000\r\n"}`, `{"customSessionId":5,"customSessionId":null}`, `{"customSessionId":1e999}`, "{\"\xff\":\"\xff\"}"} {
		f.Add("/api/sessions", []byte(body))
	}
	f.Add("/api/sessions/%2", bytes.Repeat([]byte(" "), 5000))
	s, fake := start(f, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/connection") {
			reply(200, connectionAnswer)(w, r)
		} else {
			reply(409, "")(w, r)
		}
	})
	one := regexp.MustCompile(`^POST /openvidu/api/sessions(/[^/?#]+/connection)? ([ \t\r\n]*\{(?s:.*))$`)
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		resp, text := exchange(t, s, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
		// 409 without a customSessionId is the fault of this OpenVidu, and 505 of the path: it has a space and what follows is no HTTP version.
		if resp.StatusCode >= 500 && resp.StatusCode != 505 && !strings.Contains(text, "409") {
			t.Errorf("got %s %q", resp.Status, text)
		}
		for _, call := range fake.called() {
			if parts := one.FindStringSubmatch(call); parts == nil || parts[1] == "/./connection" || parts[1] == "/../connection" || !json.Valid([]byte(parts[2])) {
				t.Errorf("OpenVidu got %q", call)
			}
		}
		fake.forget()
	})
}

// Whatever the origin, only one of the list is echoed, and what is no origin to
// the settings is none to a browser.
func FuzzOrigin(f *testing.F) {
	list := []string{"https://example.com", "http://localhost:8080"}
	for _, origin := range append(list, "", "null", "https://example.com ", "https://example.com.evil.org", "HTTPS://EXAMPLE.COM", "https://example.com\x00", "https://*", "https://a,https://example.com", "a://[::1]:1", strings.Repeat("\x01", 5000)) {
		f.Add(origin)
	}
	s, fake := start(f, reply(200, sessionAnswer), list...)
	f.Fuzz(func(t *testing.T, origin string) {
		fake.forget()
		resp, _ := exchange(t, s, "OPTIONS /api/sessions HTTP/1.1\r\nHost: localhost\r\nOrigin: "+origin+"\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "+origin+"\r\n\r\n")
		got, echoed := resp.Header["Access-Control-Allow-Origin"]
		if echoed && !slices.Contains(list, strings.Join(got, "")) {
			t.Errorf("%q: got Access-Control-Allow-Origin %q", origin, got)
		}
		if want := slices.Contains(list, origin); want != echoed && !strings.ContainsAny(origin, " \t\r\n") {
			t.Errorf("%q: got an echo %v, want %v", origin, echoed, want)
		}
		cfg, err := loadConfig(env("CORS_ALLOWED_ORIGINS", origin), fstest.MapFS{})
		for _, allowed := range cfg.origins {
			if err == nil && (!strings.Contains(allowed, "://") || strings.ContainsAny(allowed, " ,\t\r\n*") || strings.Count(allowed, "/") != 2) {
				t.Errorf("%q: got the origin %q", origin, allowed)
			}
		}
	})
}

// Whatever stands in .env, an error names lines without their text, and what is
// between quotes is taken as it stands.
func FuzzDotenv(f *testing.F) {
	for _, text := range []string{"", "A=b", "\ufeffexport A = 'b' # c\r\n", "A=\"", "A=b #c", "A", "=", "A:b", "#", "A=\x00\xff", "\r"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := parseDotenv(text)
		const line = `\.env:\d+: (should be NAME=VALUE|the value should end with the quote that it begins with)`
		if match, _ := regexp.MatchString("^"+line+"(\n"+line+")*$", fmt.Sprint(err)); err != nil && !match {
			t.Errorf("got error %q", err)
		}
		for name, value := range vars {
			if name == "" || strings.ContainsAny(name, " =\t\r\n") || strings.Contains(value, "\n") {
				t.Errorf("got %q=%q", name, value)
			}
		}
		if !strings.ContainsAny(text, "'\n") {
			if vars, err := parseDotenv("X=1\nA='" + text + "' # c"); err != nil || vars["A"] != text {
				t.Errorf("between quotes: got %q, %v", vars["A"], err)
			}
		}
	})
}

// exchange sends a request as it is, and returns the first response to it and
// its text.
func exchange(t *testing.T, s *served, request string) (*http.Response, string) {
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	c.(*net.TCPConn).SetLinger(0) // or millions of them would use up the ports,
	s.log.Reset()                 // and the memory
	go io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(resp.Body)
	}
	if errors.Is(err, syscall.ECONNRESET) {
		t.Skip("net/http answers what is no HTTP without reading the rest of it")
	}
	if err != nil {
		t.Fatalf("%.200q: %v", request, err)
	}
	return resp, string(text)
}
