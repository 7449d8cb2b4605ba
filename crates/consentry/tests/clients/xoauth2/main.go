// Drives the unmodified golang.org/x/oauth2 through our standard endpoints. See ../README.md.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type api struct {
	URL    string          `json:"url"`
	Method string          `json:"method"`
	Body   json.RawMessage `json:"body"`
}

type config struct {
	Issuer            string   `json:"issuer"`
	ClientID          string   `json:"client_id"`
	ClientSecret      string   `json:"client_secret"`
	RedirectURI       string   `json:"redirect_uri"`
	Scopes            []string `json:"scopes"`
	API               api      `json:"api"`
	ClientCredentials *struct {
		Scopes []string `json:"scopes"`
		API    api      `json:"api"`
	} `json:"client_credentials"`
}

type metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
}

// answer is what the API said to one call.
type answer struct {
	Status    int    `json:"status"`
	Body      any    `json:"body"`
	Challenge string `json:"challenge,omitempty"`
}

type ownAnswer struct {
	Scope any `json:"scope"`
	answer
}

type result struct {
	OK                bool       `json:"ok"`
	Library           string     `json:"library"`
	Scope             any        `json:"scope,omitempty"`
	Calls             []answer   `json:"calls,omitempty"`
	Rotated           bool       `json:"rotated"`
	Introspected      any        `json:"introspected"`
	Revoked           bool       `json:"revoked"`
	AfterRevoke       any        `json:"after_revoke"`
	ClientCredentials *ownAnswer `json:"client_credentials,omitempty"`
}

func main() {
	found, err := run()
	if err != nil {
		show(map[string]any{"ok": false, "error": err.Error()})
		os.Exit(1)
	}
	show(found)
}

func run() (*result, error) {
	var cfg config
	if len(os.Args) != 2 {
		return nil, errors.New("usage: xoauth2 JSON")
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	server, err := discover(ctx, cfg.Issuer)
	if err != nil {
		return nil, err
	}
	found := &result{OK: true, Library: "golang.org/x/oauth2 " + libraryVersion()}
	if cfg.RedirectURI != "" {
		if err := throughTheUser(ctx, &cfg, server, found); err != nil {
			return nil, err
		}
	}
	if cfg.ClientCredentials != nil {
		own, err := asItself(ctx, &cfg, server)
		if err != nil {
			return nil, err
		}
		found.ClientCredentials = own
	}
	return found, nil
}

// discover reads RFC 8414 metadata, which the library leaves to its user.
func discover(ctx context.Context, issuer string) (*metadata, error) {
	address := issuer + "/.well-known/oauth-authorization-server"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var server metadata
	if err := json.NewDecoder(response.Body).Decode(&server); err != nil {
		return nil, fmt.Errorf("metadata (%s): %w", response.Status, err)
	}
	if server.Issuer != issuer {
		return nil, fmt.Errorf("issuer is %q", server.Issuer)
	}
	return &server, nil
}

func throughTheUser(ctx context.Context, cfg *config, server *metadata, found *result) error {
	client := &oauth2.Config{
		ClientID:     cfg.ClientID,
		ClientSecret: cfg.ClientSecret,
		// AuthStyle stays automatic, as most programs leave it: the library tries Basic first and,
		// refused, sends the same code again in the body.
		Endpoint: oauth2.Endpoint{
			AuthURL:  server.AuthorizationEndpoint,
			TokenURL: server.TokenEndpoint,
		},
		RedirectURL: cfg.RedirectURI,
		Scopes:      cfg.Scopes,
	}
	first, err := firstToken(ctx, client, server)
	if err != nil {
		return err
	}
	if first.RefreshToken == "" || first.Expiry.IsZero() {
		return errors.New("the answer lacks refresh_token or expires_in")
	}
	if err := found.call(client.Client(ctx, first), cfg.API); err != nil {
		return err
	}

	// The library refreshes by itself once a token is over its time.
	expired := *first
	expired.Expiry = time.Now().Add(-time.Minute)
	second, err := client.TokenSource(ctx, &expired).Token()
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if second.AccessToken == first.AccessToken {
		return errors.New("the refresh gave the same access token")
	}
	found.Scope = second.Extra("scope")
	found.Rotated = second.RefreshToken != first.RefreshToken
	return found.call(client.Client(ctx, second), cfg.API)
}

func firstToken(ctx context.Context, client *oauth2.Config, server *metadata) (*oauth2.Token, error) {
	verifier := oauth2.GenerateVerifier()
	state, err := randomState()
	if err != nil {
		return nil, err
	}
	show(map[string]string{
		"authorize_url": client.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)),
	})
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("reading the callback address: %w", err)
	}
	callback, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		return nil, err
	}
	query := callback.Query()
	switch {
	case query.Get("error") != "":
		return nil, fmt.Errorf("%s: %s", query.Get("error"), query.Get("error_description"))
	case len(query["state"]) != 1 || query.Get("state") != state:
		return nil, fmt.Errorf("state in the callback is %q", query["state"])
	case len(query["iss"]) != 1 || query.Get("iss") != server.Issuer: // RFC 9207 §2.4
		return nil, fmt.Errorf("iss in the callback is %q", query["iss"])
	}
	token, err := client.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	return token, nil
}

func asItself(ctx context.Context, cfg *config, server *metadata) (*ownAnswer, error) {
	client := &clientcredentials.Config{
		ClientID:     cfg.ClientID,
		ClientSecret: cfg.ClientSecret,
		TokenURL:     server.TokenEndpoint,
		Scopes:       cfg.ClientCredentials.Scopes,
	}
	token, err := client.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("client credentials: %w", err)
	}
	signed := oauth2.NewClient(ctx, oauth2.StaticTokenSource(token))
	said, err := callAPI(signed, cfg.ClientCredentials.API)
	if err != nil {
		return nil, err
	}
	return &ownAnswer{Scope: token.Extra("scope"), answer: *said}, nil
}

func (found *result) call(signed *http.Client, target api) error {
	said, err := callAPI(signed, target)
	if err != nil {
		return err
	}
	found.Calls = append(found.Calls, *said)
	return nil
}

// callAPI sends one request with a client that adds the token.
func callAPI(signed *http.Client, target api) (*answer, error) {
	method := target.Method
	if method == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequest(method, target.URL, bytes.NewReader(target.Body))
	if err != nil {
		return nil, err
	}
	if len(target.Body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := signed.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	said := &answer{Status: response.StatusCode, Challenge: response.Header.Get("WWW-Authenticate")}
	if json.Unmarshal(text, &said.Body) != nil {
		said.Body = string(text)
	}
	return said, nil
}

func randomState() (string, error) {
	bytes := make([]byte, 32)
	if _, err := rand.Read(bytes); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(bytes), nil
}

func libraryVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == "golang.org/x/oauth2" {
			return module.Version
		}
	}
	return "unknown"
}

func show(value any) {
	// Every value shown is made of plain data, which always encodes.
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
