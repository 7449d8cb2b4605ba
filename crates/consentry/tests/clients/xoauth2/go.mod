module consentry.test/xoauth2

go 1.19

require golang.org/x/oauth2 v0.26.0
