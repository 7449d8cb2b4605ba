module consentry.test/bitport

go 1.19
