/*
 * statement_text.c
 *		The words of the statement under analysis, as its author wrote them.
 *
 * PostgreSQL cannot turn a raw parse tree back into SQL.  Where an alternative
 * is the same statement with a word more or less, it is made from the source,
 * cut between tokens, so that comments, quotes and nested parentheses cannot
 * mislead.
 *
 * Everything here is pure and allocates in the current memory context.
 */
#include "postgres.h"

#include "parser/scanner.h"

#include "guard/statement_text.h"

typedef struct Token
{
	int kind;  /* a character for one that stands for itself */
	int start; /* in the text */
	int end;
} Token;

typedef struct Tokens
{
	const char *text;
	Token *token;
	int n;
} Tokens;

/*
 * The tokens of a text.  It has been parsed before, so this does not throw.
 */
static Tokens
tokens_of(const char *text)
{
	Tokens tokens = { text, NULL, 0 };
	int room = 64;
	core_yy_extra_type extra;
	core_yyscan_t scanner =
		scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);

	/* Whoever wrote it has been warned already. */
	extra.escape_string_warning = false;
	tokens.token = palloc(room * sizeof(Token));
	for (;;)
	{
		core_YYSTYPE value;
		YYLTYPE start;
		int kind = core_yylex(&value, &start, scanner);

		if (kind == 0)
			break;
		if (tokens.n == room)
			tokens.token = repalloc(tokens.token, (room *= 2) * sizeof(Token));
		tokens.token[tokens.n].kind = kind;
		tokens.token[tokens.n].start = start;
		/* The scanner ends the token that it returned with a NUL, for now. */
		tokens.token[tokens.n].end = start + strlen(extra.scanbuf + start);
		tokens.n++;
	}
	scanner_finish(scanner);
	return tokens;
}

/* The text from token first to before token end; NULL if there is none. */
static char *
cut(const Tokens *tokens, int first, int end)
{
	if (first >= end)
		return NULL;
	return pnstrdup(tokens->text + tokens->token[first].start,
					tokens->token[end - 1].end - tokens->token[first].start);
}

/* Is this token that keyword or character?  A quoted name never is. */
static bool
is_word(const Tokens *tokens, int i, const char *word)
{
	const Token *token = &tokens->token[i];
	size_t length = strlen(word);

	return i < tokens->n && token->end - token->start == length &&
		   pg_strncasecmp(tokens->text + token->start, word, length) == 0;
}

/* If so, step over it. */
static bool
skip_word(const Tokens *tokens, int *i, const char *word)
{
	if (!is_word(tokens, *i, word))
		return false;
	(*i)++;
	return true;
}

/*
 * This statement's own text, without the semicolon and what is around it;
 * NULL if it is not known.  start is where it begins in the source.
 */
static char *
statement_text(PgxcAnalysis *a, int *start)
{
	char *text;
	Tokens tokens;

	if (a->source == NULL || a->location < 0 || a->location > strlen(a->source))
		return NULL;
	text = a->length > 0 ? pnstrdup(a->source + a->location, a->length)
						 : pstrdup(a->source + a->location);
	tokens = tokens_of(text);
	/* Of the last statement the length may be unknown. */
	while (tokens.n > 0 && tokens.token[tokens.n - 1].kind == ';')
		tokens.n--;
	if (tokens.n > 0)
		*start = a->location + tokens.token[0].start;
	return cut(&tokens, 0, tokens.n);
}

/* The same. */
char *
pgxc_statement_text(PgxcAnalysis *a)
{
	int start;

	return statement_text(a, &start);
}

/*
 * The token after ALTER ... name, where the subcommands begin; or -1 if this
 * is no such statement.
 */
static int
subcommands_begin(const Tokens *tokens)
{
	bool parenthesis;
	int i = 0;

	if (!skip_word(tokens, &i, "alter"))
		return -1;
	(void) (skip_word(tokens, &i, "foreign") ||
			skip_word(tokens, &i, "materialized"));
	if (!skip_word(tokens, &i, "table") && !skip_word(tokens, &i, "index") &&
		!skip_word(tokens, &i, "view") && !skip_word(tokens, &i, "sequence") &&
		!skip_word(tokens, &i, "type"))
		return -1;
	/* A table may be called "if", but then EXISTS does not follow. */
	if (is_word(tokens, i, "if") && is_word(tokens, i + 1, "exists"))
		i += 2;
	(void) skip_word(tokens, &i, "only");
	parenthesis = skip_word(tokens, &i, "(");
	i++;
	while (skip_word(tokens, &i, "."))
		i++;
	if (parenthesis)
		i++;
	(void) skip_word(tokens, &i, "*");
	return i;
}

/* The end (a token) of the subcommand that begins with token first. */
static int
subcommand_end(const Tokens *tokens, int first)
{
	int depth = 0;
	int i;

	for (i = first; i < tokens->n; i++)
	{
		int kind = tokens->token[i].kind;

		if (kind == '(' || kind == '[')
			depth++;
		else if (kind == ')' || kind == ']')
			depth--;
		else if (kind == ',' && depth == 0)
			break;
	}
	return i;
}

/*
 * The n-th of the subcommands of ALTER TABLE (INDEX, VIEW, ...), from 0, in the
 * order of the text; NULL if there is none, or the text is not known.
 */
char *
pgxc_subcommand_text(PgxcAnalysis *a, int n)
{
	char *text = pgxc_statement_text(a);
	Tokens tokens;
	int first;

	if (text == NULL)
		return NULL;
	tokens = tokens_of(text);
	first = subcommands_begin(&tokens);
	if (first < 0)
		return NULL;
	while (n-- > 0)
		first = subcommand_end(&tokens, first) + 1;
	if (first >= tokens.n)
		return NULL;
	return cut(&tokens, first, subcommand_end(&tokens, first));
}

/*
 * Which of them this location of the source (of a node, say) is in, from 0; -1
 * if none is.  The analysis visits them in the order of their passes, so that
 * the place in the list does not tell.
 */
int
pgxc_subcommand_at(PgxcAnalysis *a, int location)
{
	int start;
	char *text = statement_text(a, &start);
	Tokens tokens;
	int first;

	if (text == NULL || location < start)
		return -1;
	tokens = tokens_of(text);
	first = subcommands_begin(&tokens);
	for (int n = 0; first >= 0 && first < tokens.n; n++)
	{
		int end = subcommand_end(&tokens, first);

		if (end == first)
			break;
		if (location - start >= tokens.token[first].start &&
			location - start < tokens.token[end - 1].end)
			return n;
		first = end + 1;
	}
	return -1;
}

/* The text with something put in after its first tokens. */
char *
pgxc_text_insert(const char *text, int ntokens, const char *insertion)
{
	Tokens tokens = tokens_of(text);
	int at = ntokens == 0 ? 0 : tokens.token[Min(ntokens, tokens.n) - 1].end;

	return psprintf("%.*s%s%s", at, text, insertion, text + at);
}
