"""Small templates for every part of the language; each is rendered with VARIABLES and its own, if it has any."""

VARIABLES = {
    "i": 7,
    "neg": -7,
    "f": 2.5,
    "s": "Hello World",
    "u": "größe ñ 你好 🙂 ẞ",
    "t": True,
    "n": None,
    "l": [3, 1, 2],
    "words": ["pear", "Apple", "fig", "apple"],
    "d": {"b": 1, "a": 2, "items": 3, "nested": {"x": [10, 20]}},
    "people": [
        {"name": "Ann", "age": 31, "tags": ["x"]},
        {"name": "bob", "age": 25, "tags": []},
        {"name": "Cy", "age": 31},
    ],
    "html": "<b>\"it's\" & so</b>",
    "tree": [{"n": 1, "kids": [{"n": 2, "kids": []}, {"n": 3, "kids": [{"n": 4, "kids": []}]}]}],
}


def expressions(text):
    return ["{{ %s }}" % line.strip() for line in text.strip().splitlines()]


LITERALS = expressions(r"""
1
1_000
0x1f
0b101
0o17
007
1.5
1e3
1.5e-7
1E5
123456789.123456789
1e16
1e15
123456789012345680.0
0.1 + 0.2
1e22
1e-5
0.0001
-0.0
9223372036854775807
true, True, false, False
none
None
'a' 'b' "c"
'it\'s'
"tab\tnl\nq\"u\u00e9\x41\101\U0001F642"
'\q\d'
'back\\slash'
'\é'
'\x4'
'\u12'
[1, 'a', none, 2.0, true]
[]
[1,]
(1,)
()
(1, 2)
{'a': 1, 'b': [1, {}]}
{}
{1: 'x', 2.5: 'y', none: 'z', true: 'w'}
{'a': 1, 'a': 2}
{1: 'a', 1.0: 'b', true: 'c'}
['it\'s', "q\"", 'both\'"', 'nl\n\t\r\x00\x7f', 'é', '\u200b', '🙂', '\xa0']
{[1]: 2}
{(1, 2): 3}
{([],): 3}
1.
1..real
1.5.real
.5
""")

ARITHMETIC = expressions(r"""
1 + 2 * 3 - 4 / 2
7 / 2
8 / 2
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 // 2
7.5 % 2
-7.5 % 2
7.5 % -2
2 ** 10
2 ** -1
2 ** 0.5
2 ** 3 ** 2
-2 ** 2
0 ** -1
0 ** 0
1 / 0
1 // 0
1 % 0
1.0 / 0
1 + true
true + true
-true
+true
+5
--5
not not 1
- i + 3
i - neg
f * 2
i * 'ab'
'ab' * 3
'ab' * -1
[1] * 3
3 * [1, 2]
[1] + [2]
(1,) + (2,)
[1] + (2,)
'a' + 'b'
'a' + 1
1 + 'a'
[1] - [1]
none + 1
1 ~ 2 ~ 'x' ~ none ~ true ~ 1.0
'a' ~ undef ~ 'b'
1 + 2 ~ 3 + 4
1e308 * 10
-1e308 * 10
1e308 * 10 - 1e308 * 10
10 ** 400 / 1 if false else 'skip'
5 - 3 - 1
100 / 10 / 2
2 * 3 % 4
1.0 * 3
3.0 // 1
0.1 * 3
1e100
5 // 0.3
-0.0 + 0
""")

COMPARISONS = expressions(r"""
1 == 1.0
1 == true
0 == false
'1' == 1
none == none
none == false
[1, 2] == [1.0, 2]
[1] == (1,)
{'a': 1} == {'a': 1.0}
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
1 < 2 < 3
1 < 3 < 2
3 > 2 > 1
1 < 2 == true
1 == 1 == 1
1 != 2 != 1
'a' < 'b'
'Z' < 'a'
'é' > 'z'
'a' < 1
none < 1
[1, 2] < [1, 3]
[1] < [1, 0]
(1, 'a') < (1, 'b')
[1] < (1,)
{} < {}
1 in [1, 2]
1.0 in [1, 2]
'a' in 'abc'
'' in 'abc'
'ac' in 'abc'
1 in 'abc'
'a' in d
'z' in d
'a' not in d
not 'a' in d
1 in 5
1 in none
1 in undef
none in [none]
[1] in [[1]]
[1] in {'a': 1}
2 in (1, 2)
1 in {1: 2}
true in {1: 2}
1 <= 1
1 >= 2
1 < 1.5
9007199254740993 == 9007199254740992.0
undef == undef
undef == none
undef != 1
undef < 1
true and 'x'
0 and 1 / 0
'' or 'default'
none or 0 or []
1 and 2 or 3
not 0 and 1
not (1 and 0)
1 if true else 2
1 if 0 else 2
1 if 0
'a' if 0 else 'b' if 0 else 'c'
(1 if 0) is defined
1 or 1 / 0
range(3) == range(3)
range(0) == range(2, 2)
(range(5) | list) == [0, 1, 2, 3, 4]
3 in range(5)
'x' in ['a', 'x'] and 'y' not in ['a']
""")

STRINGS = expressions(r"""
s.upper()
s.lower()
s.title()
'they\'re bill\'s'.title()
'hello wORLD'.capitalize()
s.swapcase()
'  x '.strip()
'xxaxx'.strip('x')
'abcba'.strip('ab')
'  x '.lstrip() ~ '|'
'  x '.rstrip() ~ '|'
'\u3000x\u00a0\n'.strip()
'xyz'.strip(none)
'xyz'.strip(1)
'a,b,,c'.split(',')
'a b  c '.split()
'a b  c '.split(' ')
'a,b,c'.split(',', 1)
'a b c d'.split(none, 2)
' a b c '.split(maxsplit=1)
'a,b,c'.rsplit(',', 1)
' a b  c '.rsplit(none, 1)
'abc'.split('')
''.split()
''.split(',')
'a</think>b</think>c'.split('</think>')[-1]
'a\nb\r\nc\rd'.splitlines()
'a\nb\n'.splitlines(true)
''.splitlines()
'a\x0bb\x1cc\x85d\u2028e'.splitlines()
s.startswith('Hell')
s.startswith(('x', 'H'))
s.startswith(['H'])
s.endswith('ld', 0, -1)
s.endswith(('x', 'ld'))
s.startswith('W', 6)
s.startswith('')
s.replace('l', 'L')
s.replace('l', 'L', 2)
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
s.replace('o')
s.find('o')
s.find('o', 5)
s.rfind('o')
s.find('zz')
s.index('W')
s.index('zz')
s.count('l')
s.count('')
s.count('l', 4)
u.find('你')
u.index('好')
u.count('你')
'12'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½'.isnumeric()
''.isdigit()
'ab1'.isalnum()
'abé'.isalpha()
' \t\n'.isspace()
'AB1'.isupper()
'ab1'.islower()
'12'.isupper()
'Ab Cd'.istitle()
'prefix-x'.removeprefix('prefix-')
'x.txt'.removesuffix('.txt')
'42'.zfill(5)
'-42'.zfill(5)
'ab'.ljust(5, '.') ~ '|'
'ab'.rjust(5) ~ '|'
'ab'.center(5, '*')
'a'.center(4, '*')
'abc'.center(6, '*')
'ab'.center(5, '**')
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('x')
'abc'.rpartition('x')
', '.join(['a', 'b'])
''.join([])
','.join([1])
','.join('abc')
u | length
u[0], u[3], u[-1]
u[8:10]
u[::-1]
u[2:]
u.upper()
u.lower()
'ß'.upper()
'ﬁ'.upper()
'ΑΣ'.lower()
'ΑΣΑ'.lower()
'ǆ'.title()
'İ'.lower()
'ŉ'.upper()
'straße'.title()
s[0]
s[-1]
s[100]
s['x']
s[1:4]
s[:3]
s[-3:]
s[::2]
s[::-1]
s[8:2:-2]
s[::0]
s[-100:100]
s['a':]
s[none:3]
s[true:3]
s.foo
s.foo.bar
s.__class__
s.__class__.__mro__
s.__len__()
'a' 'b'.upper()
'%s' % 'a'
'%s and %s' % ('a', 1)
'%d' % 3.9
'%5d|%-5d|%05d' % (1, 2, 3)
'%.2f %e %g %G' % (3.14159, 12345.678, 0.00001, 1e20)
'%x %X %o %#x' % (255, 255, 8, 255)
'%r' % 'a'
'%(a)s-%(b)d' % {'a': 1, 'b': 2}
'%s' % [1, 2]
'%s' % ((1, 2),)
'%s %s' % 'a'
'%s' % ('a', 'b')
'%d' % 'x'
'100%' % ()
'100%%' % ()
'%c%c' % ('x', 65)
'%+d % d' % (5, 5)
'%10.3s|' % 'abcdef'
'%*d' % (5, 3)
'%a' % 'é'
'no' % []
'no' % 1
'%s' % none
'%q' % 1
'{} {}'.format(1, 'a')
'{1} {0}'.format('a', 'b')
'{x} {y}'.format(x=1, y='b')
'{0.name} {0[name]}'.format(people[0])
'{d[a]}'.format(d=d)
'{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c')
'{:05d} {:+d} {:,} {:x} {:#b}'.format(42, 42, 1234567, 255, 5)
'{:.2f} {:10.3f}| {:e} {:%} {:.0f}'.format(3.14159, 2.5, 12345.678, 0.25, 2.5)
'{:.3}'.format('abcdef')
'{:*^9}'.format('mid')
'{!r} {!s} {!a}'.format('é', 'é', 'é')
'{{}} {}'.format(1)
'{'.format(1)
'}'.format(1)
'{} {1}'.format(1, 2)
'{2}'.format(1)
'{x}'.format(y=1)
'{:d}'.format('a')
'{:d}'.format(1.5)
'{:s}'.format(1)
'{}'.format(none)
'{:>{w}}'.format('a', w=4)
'{:g} {:n} {}'.format(1.0, 5, 1.0)
'{0.__class__}'.format(1)
'{:.1f}'.format(1)
'{:_}'.format(1234567)
'{:<10.2f}|{:=+8d}|'.format(1.5, 42)
""")

CONTAINERS = expressions(r"""
l[0], l[-1], l[5]
l[5] is defined
l['a']
l[1.0]
l[true]
l[0:2]
l[::-1]
l[-2:]
l[5:]
l[::2]
l.index(2)
l.index(9)
l.count(1)
l.append(4)
l.append
l.pop()
l.sort()
l.copy()
l.foo
(1, 2, 3)[1:]
(1, 2).index(2)
d.a
d['a']
d['items']
d.items()
d.items() | list
d.keys() | list
d.values() | list
d.keys()
d.values()
d.get('a')
d.get('zz')
d.get('zz', 5)
d.get('zz', default=5)
d.zz
d.zz.y
d['zz']['y']
d.nested.x[1]
d.nested.x.1
d.nested['x'][0]
d.update({'q': 1})
d.pop('a')
d.setdefault('a', 1)
d.clear()
d.copy()
d.keys() | sort
'a' in d.keys()
3 in d.values()
('a', 2) in d.items()
d.items() | first
d | length
d.items() | length
d.items()[0]
d[[1]]
d[1:2]
d.__class__
d['__class__']
none.foo
none.foo.bar
none['x']
i.foo
i[0]
1 .real
undef
undef.x
undef['x']
undef[0:1]
undef()
undef.x()
undef | length
undef | list
undef | upper
undef | default('z')
d.zz | default('z')
none | default('z')
none | default('z', true)
'' | default('z', boolean=true)
-undef
undef + 1
1 + undef
undef ~ 1
undef | tojson
undef | int
undef | string
[undef]
{'a': undef}
undef is none
range(5)
range(5) | list
range(2, 10, 3) | list
range(10, 0, -4) | list
range(3)[1]
range(10)[2:5] | list
range(10)[::-3] | list
range(10)[-1]
range(5) | length
range(5, 0) | list
range(0)
range(1, 2, 0)
range('a')
range()
range(100000) | length
range(100001)
range(1.5)
range(stop=3)
dict(a=1, b=2)
dict([('a', 1), ['b', 2]])
dict({'a': 1}, b=2)
dict([1])
dict(none)
namespace(a=1).a
namespace({'a': 1}).a
namespace(a=1).b
namespace(a=1)['a']
namespace(_a=1)
namespace() is defined
i()
s()
l()
joiner('|')()
people[0].name ~ people[1]['age']
people | map(attribute='name') | list
(people | first).tags[0]
""")

FILTERS = expressions(r"""
s | upper
s | lower
s | title
'foo-bar (baz) x_y' | title
'foo BAR' | capitalize
'  x  ' | trim
'xxaxx' | trim('x')
5 | upper
none | upper
s | replace('l', 'L')
s | replace('l', 'L', 1)
5 | replace(5, 6)
s | length
i | length
none | length
l | first
[] | first
[] | first is defined
s | first
l | last
[] | last
s | last
d | last
(l | map('string')) | last
l | join
l | join(', ')
['a', none, true, 1.0, undef] | join('-')
people | join(',', attribute='name')
people | join(attribute='age', d='/')
s | join('.')
d | join(',')
5 | join
s | list
d | list
5 | list
5 | string
l | string
none | string
'42' | int
'42.9' | int
'x' | int
'x' | int(5)
'0x1f' | int(base=16)
'0x1f' | int
'ff' | int(0, 16)
' 42 ' | int
'-7' | int
42.9 | int
-42.9 | int
none | int
none | int(default=3)
true | int
'1_000' | int
'1e3' | int
[] | int(1)
'1.5' | float
'x' | float
'x' | float(1.5)
'inf' | float
'nan' | float
'-1e-3' | float
3 | float
none | float
2.5 | round
3.5 | round
2.675 | round(2)
2.55 | round(1)
2.4 | round(0, 'ceil')
2.6 | round(0, 'floor')
2.123 | round(2, 'ceil')
7 | round
17 | round(-1)
15 | round(-1)
25 | round(-1)
1234.5 | round(-2)
2.5 | round | int
'x' | round
2.5 | round(1, 'odd')
-3 | abs
-3.5 | abs
true | abs
'x' | abs
l | sort
l | sort(reverse=true)
words | sort
words | sort(case_sensitive=true)
words | sort(true)
people | sort(attribute='age') | map(attribute='name') | join(',')
people | sort(attribute='age,name', reverse=true) | map(attribute='name') | join(',')
[1, 'a'] | sort
s | sort | join
d | sort
words | unique | list
words | unique(case_sensitive=true) | list
people | unique(attribute='age') | map(attribute='name') | list
[1, 1.0, true, '1'] | unique | list
[[1], [1]] | unique | list
d | dictsort
{'B': 1, 'a': 2} | dictsort
{'B': 1, 'a': 2} | dictsort(true)
{'B': 1, 'a': 0} | dictsort(by='value')
{'B': 1, 'a': 0} | dictsort(reverse=true)
{'B': 1, 'a': 0} | dictsort(by='x')
l | reverse | list
l | reverse | join
s | reverse
d | reverse | list
(l | map('string')) | reverse
5 | reverse
d | items | list
undef | items | list
l | items | list
l | min
l | max
[] | min
words | min
words | max(case_sensitive=true)
people | max(attribute='age')
[1, 'a'] | min
l | sum
l | sum(start=10)
people | sum(attribute='age')
people | sum('age', 100)
['a'] | sum
[] | sum
[[1], [2]] | sum(start=[])
[1, 2, 3, 4, 5] | batch(2) | list
[1, 2, 3] | batch(2, 'x') | list
[1, 2, 3, 4, 5] | slice(2) | list
[1, 2, 3] | slice(2, 'x') | list
people | groupby('age')
people | groupby('age') | map(attribute='grouper') | list
people | groupby('nope', default='q') | length
(people | groupby('age'))[0].list | length
l | map('string') | list
l | map('upper') | join
words | map('replace', 'p', 'q') | list
people | map(attribute='tags') | list
people | map(attribute='tags', default='none') | list
people | map(attribute='tags.0') | list
people | map(attribute='nope') | list
people | map() | list
l | map('nosuch') | list
l | map('nosuch') is iterable
[] | map('nosuch') | list
none | map('upper') | list
5 | map('upper') | list
l | map(attribute='x', foo=1) | list
l | select('odd') | list
l | reject('odd') | list
l | select | list
[0, 1, '', 'a'] | select | list
l | select('>', 1) | list
l | select('in', [1, 2]) | list
l | select('divisibleby', 3) | list
l | select('nosuch') | list
people | selectattr('tags') | map(attribute='name') | list
people | selectattr('age', 'eq', 31) | map(attribute='name') | list
people | selectattr('age', '==', 31) | list | length
people | rejectattr('age', 'equalto', 31) | map(attribute='name') | list
people | selectattr('tags', 'defined') | list | length
people | rejectattr('tags') | map(attribute='name') | list
people | selectattr() | list
s | tojson
d | tojson
d | tojson(indent=2)
d | tojson(indent='--')
[] | tojson(indent=2)
[1, [], {}] | tojson(indent=1)
d | tojson(sort_keys=true)
d | tojson(separators=(',', ':'))
d | tojson(indent=2, separators=(',', ':'))
u | tojson
u | tojson(ensure_ascii=true)
u | tojson(true)
html | tojson
[1.0, 1e20, 0.1, none, true, 'a\n\t\r\b\f\x01\x7f"\\'] | tojson
(1, 2) | tojson
{1: 2, none: 3, true: 4, 1.5: 5} | tojson
{(1, 2): 3} | tojson
range(3) | tojson
d.items() | tojson
(l | map('string')) | tojson
namespace() | tojson
d | tojson(indent=0)
'a\nb' | indent
'a\nb\n\nc' | indent(2)
'a\nb' | indent(2, true)
'a\n\nb' | indent(2, false, true)
'a\nb' | indent('> ', first=true)
'a\nb\n' | indent(2) ~ '|'
5 | indent
html | safe
html | escape
html | e
(html | safe) | e
(html | safe) | forceescape
html | forceescape
(html | safe) + '<i>'
'<i>' + (html | safe)
(html | safe) ~ '<i>'
(html | safe) * 2
'%s' % (html | safe)
('%s<' | safe) % html
('{}<' | safe).format(html)
(html | safe).upper()
(html | safe).replace('b', '<')
[html | safe]
(html | safe) is string
(html | safe) is escaped
[html | safe, '<'] | join('&')
html | striptags
'a <!-- x > y --> b   c &amp; &lt;' | striptags
'a b&c/d?é' | urlencode
{'a b': 'c&d', 'e': 1} | urlencode
[['a', 1]] | urlencode
5 | urlencode
'%s-%s' | format('a', 1)
'%(a)s' | format(a=1)
'%s' | format(1, a=2)
'Hello big world, a-b' | wordcount
'x' | center(5) ~ '|'
'hello big world' | truncate(9)
'hello big world' | truncate(9, true)
'hello big world' | truncate(9, true, '')
'hello big world' | truncate(9, leeway=0, end='..')
'hello big world' | truncate(13)
'hello big world' | truncate(2)
'the quick brown fox jumps' | wordwrap(10)
'a-very-long-hyphenated-word here' | wordwrap(8)
'abcdefghijkl mno' | wordwrap(5)
'abcdefghijkl mno' | wordwrap(5, false)
'a b\nc d e' | wordwrap(3, wrapstring='|')
d | pprint
'abc' | pprint
1 | filesizeformat
999 | filesizeformat
1000 | filesizeformat
1500000 | filesizeformat
1048576 | filesizeformat(true)
people[0] | attr('name')
d | attr('items') is callable
s | attr('upper') is callable
{'a': 1, 'b': none, 'c': '<'} | xmlattr
l | count
s | d('x')
s | upper | lower | title
-1 | abs
s | nosuch
s | upper(1)
s | replace
l | first(1)
s | trim(chars='H')
s | upper()
1 | string | length
""")

TESTS = expressions(r"""
i is number, f is number, t is number, s is number, n is number
i is integer, f is integer, t is integer
i is float, f is float
t is boolean, i is boolean
t is true, 1 is true, false is false, 0 is false
s is string, i is string
n is none, undef is none
undef is defined, s is defined, undef is undefined, d.zz is undefined
l is sequence, s is sequence, d is sequence, i is sequence, undef is sequence, d.items() is sequence
l is iterable, s is iterable, d is iterable, i is iterable, n is iterable, undef is iterable
(l | map('string')) is iterable, (l | map('string')) is sequence
d is mapping, l is mapping, undef is mapping, namespace() is mapping
range is callable, s.upper is callable, s is callable, undef is callable
range(3) is sequence
7 is odd, 7 is even, 8 is even
'x' is odd
7.5 is odd
9 is divisibleby 3
9 is divisibleby(4)
9 is divisibleby 0
9 is eq 9, 9 is == 9
9 is eq(9), 9 is equalto(8), 9 is ne 8, 9 is lt 10, 9 is gt(10), 9 is ge 9, 9 is le 8
1 is in [1, 2]
'a' is in 'abc'
1 is not in [1]
s is not none
not s is none
s is not defined
'abc' is lower, 'ABC' is upper, 'aB' is lower, '1' is upper
n is sameas none, 1 is sameas 1.0, true is sameas 1
'upper' is filter, 'nosuch' is filter, 'odd' is test, 'nosuch' is test
html | safe is escaped
s is nosuch
1 is number and 2 is number or x
l | length is eq 3
l | length > 2 and s is string
-1 is number
(1 is number) is boolean
1 is number is boolean
s is defined and s is string and s | length > 3
1 is lessthan 2, 1 is greaterthan 2
l is defined if t else 0
'a' is string ~ 'b'
1 + 1 is number
""")

STATEMENTS = [
    "{% for x in l %}{{ x }},{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}|{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}",
    "{% for x in [] %}a{% else %}empty{% endfor %}",
    "{% for x in l %}{{ x }}{% else %}empty{% endfor %}",
    "{% for x in l %}{% continue %}{% else %}else{% endfor %}",
    "{% for x in l %}{% break %}{% else %}else{% endfor %}",
    "{% for x in l %}{{ x }}{% break %}{% endfor %}after",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}",
    "{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in l if loop.index > 1 %}{{ x }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a, b in [1] %}{{ a }}{% endfor %}",
    "{% for a, b in ['xy'] %}{{ a }}-{{ b }}{% endfor %}",
    "{% for x in 'héy' %}{{ x }}.{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for x in undef %}a{% else %}b{% endfor %}",
    "{% for x in range(3) %}{% for y in range(x) %}{{ x }}{{ y }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in l | sort %}{{ x }}{{ loop.last }}{% endfor %}",
    "{% for x in l | map('string') %}{{ x }}{{ loop.last }}{{ loop.length }}{% endfor %}",
    "{% for x in l | reverse %}{{ x }}{{ loop.length }}{% endfor %}",
    "{% for item in tree recursive %}{{ item.n }}@{{ loop.depth }}[{{ loop(item.kids) }}]{% endfor %}",
    "{% for item in tree recursive %}{{ item.n }}{% if item.kids %}({{ loop(item.kids) }}){% endif %}{% else %}-{% endfor %}",
    "{% for x in l %}{{ loop(x) }}{% endfor %}",
    "{% for x in l %}{{ loop['index'] }}{{ loop.foo }}{% endfor %}",
    "{% for x in l %}{% endfor %}{{ x }}{{ loop }}",
    "{% set x = 'outer' %}{% for x in l %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 0 %}{% for y in l %}{% set x = x + y %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% for y in l %}{% set z = y %}{% endfor %}{{ z is defined }}",
    "{% for y in l %}{{ z is defined }}{% set z = 1 %}{% endfor %}",
    "{% for y in l %}{{ s }}{% endfor %}{% set s = 'late' %}{{ s }}",
    "{% if t %}{% set q = 1 %}{% endif %}{{ q }}",
    "{% if not t %}{% set s = 1 %}{% endif %}{{ s }}",
    "{% if not t %}{% set q = 1 %}{% endif %}{{ q is defined }}",
    "{% set s %}{{ s }}!{% endset %}{{ s }}",
    "{% set q = 'a' %}{% set q %}{{ q }}!{% endset %}{{ q }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = 'xy' %}{{ a }}{{ b }}",
    "{% set (a, b) = [1, 2] %}{{ a }}{{ b }}",
    "{% set a, b = 1 %}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set a.b = 1 %}",
    "{% set d.a = 1 %}",
    "{% set ns = namespace(a=1, b=2) %}{% set ns.a, ns.b = ns.b, ns.a %}{{ ns.a }}{{ ns.b }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% set ns = namespace(a=1) %}{{ ns }}",
    "{% set ns = namespace() %}{% set ns.l = [] %}{% set ns.l = ns.l + [1] %}{{ ns.l }}{{ ns.zz is defined }}",
    "{% set x %}a{{ 1 + 1 }}b{% endset %}[{{ x }}]{{ x is string }}",
    "{% set x | upper %}abc{% endset %}{{ x }}",
    "{% set x | replace('a', 'b') | trim %} abc {% endset %}{{ x }}|",
    "{% set true = 1 %}",
    "{% set 'a' = 1 %}",
    "{% set x[0] = 1 %}",
    "{% if 0 %}a{% elif 0 %}b{% elif 1 %}c{% else %}d{% endif %}",
    "{% if 0 %}a{% else %}d{% endif %}",
    "{% if undef %}a{% endif %}{% if [] %}b{% endif %}{% if '' %}c{% endif %}{% if 0.0 %}d{% endif %}{% if [0] %}e{% endif %}",
    "{% if 1, 0 %}tuple{% endif %}",
    "{% if 1: %}colon{% endif %}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=5, a=4) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m(a) %}{{ caller() }}{{ a }}{% endmacro %}{% call m(1) %}body{% endcall %}",
    "{% macro m() %}{{ caller('x', 2) }}{% endmacro %}{% call(p, q) m() %}{{ p }}-{{ q }}{% endcall %}",
    "{% macro m() %}no caller{% endmacro %}{% call m() %}body{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1) | int) }}{% endif %}{% endmacro %}{{ fact(10) }}",
    "{{ m() }}{% macro m() %}x{% endmacro %}",
    "{% macro m() %}{{ q }}{% endmacro %}{% set q = 5 %}{{ m() }}",
    "{% set q = 1 %}{% macro m() %}{{ q }}{% set q = 2 %}{{ q }}{% endmacro %}{{ m() }}{{ q }}",
    "{% for x in l %}{% macro m() %}{{ x }}{{ loop.index }}{% endmacro %}{{ m() }} {% endfor %}",
    "{% macro outer() %}{% macro inner() %}in{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    "{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}",
    "{% macro m() %}  spaced  {% endmacro %}[{{ m() | trim }}]",
    "{% macro m(a, a) %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'x': 2}) }}",
    "{{ dict(*[[('a', 1)]], **{'b': 2}) }}",
    "{{ dict(a=1, **{'a': 2}) }}",
    "{{ range(*[1, 4]) | list }}",
    "{% with a=1, b=2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% set a = 5 %}{% with a=1, b=a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a is defined }}",
    "{% filter upper %}abc{{ s }}{% endfilter %}",
    "{% filter replace('a', 'b') | upper %}abc{% endfilter %}",
    "{% raw %}{{ x }} {% if %}{% endraw %}!",
    "a {% raw -%}  x {{ }}  {%- endraw %} b",
    "{%- raw -%} x {%- endraw -%} b",
    "{% raw %}",
    "{% raw %}x",
    "{# comment #}a{# multi\nline #}b",
    "a {#- x -#} b",
    "{# {{ x }} {% if %} #}ok",
    "a{# unclosed",
    "{% generation %}x{{ s }}{% endgeneration %}",
    "{% for m in l %}{% generation %}{{ m }}{{ loop.index }}{% set z = 1 %}{% endgeneration %}{{ z is defined }}{% endfor %}",
    "{% for m in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% print s %}{% print 1, 2 %}",
    "{% break %}",
    "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in l %}{% set y %}a{% break %}{% endset %}{% endfor %}done",
    "{% for loop in l %}{% endfor %}",
    "{% for x in l %}{% set loop = 1 %}{% endfor %}",
    "{% set loop = 1 %}{{ loop }}",
    "{{ raise_exception('stop: ' ~ i) }}",
    "{% if i > 100 %}{{ raise_exception('no') }}{% endif %}fine",
    "{{ raise_exception() }}",
    "{{ raise_exception(5) }}",
    "{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %B %A %a %j %y %I %p %f %%') }}",
    "{{ strftime_now('') }}|",
    "{{ strftime_now(5) }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}",
    "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set x = l | map('string') %}{{ x | join }}|{{ x | join }}",
    "{% set x = d.items() %}{{ x | list | length }}{{ x | list | length }}",
    "{% set ns = namespace(go=true) %}{% for x in l if ns.go %}{{ x }}{% set ns.go = false %}{% endfor %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% unknown %}",
    "{% do l.append(1) %}",
    "{% endif %}",
    "{% if 1 %}",
    "{% for x in l %}",
    "{% if 1 %}{% endfor %}",
    "{{ s | nosuch }}",
    "{% if false %}{{ s | nosuch }}{% endif %}ok",
    "{% if false %}{% for x in l %}{{ s | nosuch }}{% endfor %}{% endif %}ok",
    "{{ (s | nosuch) if false else 'ok' }}",
    "{% if true %}{{ s is nosuch }}{% endif %}",
    "{% if false %}{{ s is nosuch }}{% endif %}ok",
    "{{",
    "{{ }}",
    "{{ s",
    "{% if",
    "{{ s }",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ [1} }}",
    "{{ 'abc }}",
    "{{ a b }}",
    "{{ 1 + }}",
    "{{ | upper }}",
    "{{ s. }}",
    "{{ s.1x }}",
    "{{ @ }}",
    "{{ 1 ! 2 }}",
    "{{ not }}",
    "{{ f(a=1, 2) }}",
    "{{ f(a=1, a=2) }}",
    "{{ {'a' 1} }}",
    "{{ [1 2] }}",
    "{{ l[1 }}",
    "{{ l[] }}",
    "{{ l[1:2:3:4] }}",
    "{{ l[1, 2] }}",
    "{{ x = 1 }}",
    "{{ {'a': 1}['a'] }}{{ {'a': {}}}}",
    "{{ [1,2][0] }}{{ (1,2)[1] }}{{ 'ab'[0] }}",
    "{{ {'a': [1, {'b': 2}]}.a[1].b }}",
    "{{ caller }}",
]

WHITESPACE = [
    "a\n",
    "a\n\n",
    "a\r\n",
    "a\r\nb\rc\n",
    "\n",
    "",
    "  {% if true %}  \n  x\n  {% endif %}  \ny",
    "  {%- if true -%}  \n  x\n  {%- endif -%}  \ny",
    "  {%+ if true +%}\n  x\n  {%+ endif %}\ny",
    "{% if true %}\n\nx{% endif %}\n\ny",
    "  {{ 1 }}  \n  {{ 2 }}\n",
    "  {{- 1 -}}  \n  {{- 2 -}}\n x",
    "a {{- 1 }} b {{ 2 -}} c",
    "a {#- c -#} b\n{# c #}\nd",
    "  {# c #}\n  x {# d #}\n",
    "x  {% set a = 1 %}\ny",
    "x\n  {% set a = 1 %}\ny",
    "x\n\t{% set a = 1 %} {% set b = 2 %}\ny",
    "{% set a = 1 %}  {% set b = 2 %}\n  {% set c = 3 %}z",
    "{% for x in l %}\n  {{ x }}\n{% endfor %}\nend",
    "{% for x in l -%}\n  {{ x }}\n{%- endfor %}\nend",
    "{%- for x in l %}\n  {{- x }}\n{%- endfor -%}\nend",
    "{{ 'a' }}\n{{ 'b' }}",
    "{{ 'a' -}}\n\n\n{{ 'b' }}",
    "{%- set a = 'x' -%}\n\n  text",
    "a\n   {%- if true %}b{% endif %}",
    "a\u3000{%- if true %}b{% endif %}\u00a0{{- 'c' }}",
    "{{\n1\n+\n2\n}}",
    "{%\nif\ntrue\n%}x{%\nendif\n%}",
    "{{-1}}",
    "{{+1}}",
    "{{ -1 }}",
    "{{ '}}' }}{{ '%}' }}{{ \"{{\" }}",
    "{ { a } } {x} { % }",
    "<|im_start|>{{ 'x' }}<|im_end|>\n",
    "{{ 'a\nb' }}|{{ 'a\r\nb' }}",
    "  {% raw %}\n  x\n  {% endraw %}\ny",
    "{% if true %}{% endif %}\n{% if true %}{% endif %}\n",
    "{% macro m() %}\n  x\n{% endmacro %}\n{{ m() }}",
    "a  \n  {%- macro m() -%}  x  {%- endmacro -%}  \n  b{{ m() }}",
]

OWN_VARIABLES = [
    ("{{ x }}", {"x": [1, 2.5, "a", None, True, {"k": []}]}),
    ("{{ x | tojson }}", {"x": {"ä": "\u2028<&>'\"/", "n": [1e-7, 1e300, -0.0, 12345678901234567]}}),
    ("{{ range }}{{ dict }}", {"range": "mine", "dict": 5}),
    ("{{ x.keys() | list }}{{ x.get('get') }}", {"x": {"keys": 1, "get": 2}}),
    ("{% for m in messages %}{{ m.role }}:{{ m['content'] }}\n{% endfor %}", {"messages": [{"role": "user", "content": "hi"}]}),
    ("{{ x['a b'] }}{{ x.a }}", {"x": {"a b": 1}}),
    ("{{ (x | selectattr('type', 'equalto', 'text') | list)[0].text }}", {"x": [{"type": "image"}, {"type": "text", "text": "T"}]}),
    ("{{ x | map(attribute='f.g') | join(',') }}", {"x": [{"f": {"g": 1}}, {"f": {"g": 2}}]}),
    ("{{ x is string }}{{ x is iterable }}{{ x is mapping }}", {"x": {}}),
    ("{% if x is not none and x.y %}{{ x.y[-1].z }}{% endif %}", {"x": {"y": [{"z": "deep"}]}}),
    ("{{ x[:-1] }}{{ x[-1:] }}{{ x[1:][0] }}", {"x": ["a", "b", "c"]}),
    ("{{ x | length }}{{ x | first }}{{ x | reverse }}", {"x": "🙂é漢"}),
]

CASES = [
    *LITERALS,
    *ARITHMETIC,
    *COMPARISONS,
    *STRINGS,
    *CONTAINERS,
    *FILTERS,
    *TESTS,
    *STATEMENTS,
    *WHITESPACE,
    *OWN_VARIABLES,
]
