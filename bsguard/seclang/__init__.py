"""The SecLang rule language and its engine, a library of its own."""
