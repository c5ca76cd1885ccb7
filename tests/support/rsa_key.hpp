// SPDX-License-Identifier: Apache-2.0
// Keys that are published or were made for the tests; none opens anything.
#pragma once

namespace test_support {

/// The key of RFC 7515, A.2, as PKCS#8.
inline constexpr const char* rfc7515_key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n"
    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n"
    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n"
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n"
    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n"
    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n"
    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n"
    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n"
    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n"
    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n"
    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n"
    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n"
    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n"
    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n"
    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n"
    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n"
    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n"
    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n"
    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n"
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n"
    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n"
    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n"
    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n"
    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n"
    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n"
    "03k2+ZQwVK0JKSHuLFkuQ3U=\n"
    "-----END PRIVATE KEY-----\n";

/// The same, with a pass phrase.
inline constexpr const char* encrypted_key =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIHaxV9mLBFPECAggA\n"
    "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBBSsbIKkij5fNAfh8Wjo8aDBIIE\n"
    "0NnepQ79yj2Q3c0+aXzvOXUXudR5hqCuF2MV/H2xmiPIzIOnx9+NYdH1cXnha25y\n"
    "YrmjTgYpKeeFX1hM3gtzb953KCPHdSO1GqOQDdgyZIK9FN2IYzE+A4NijKbyQG4w\n"
    "1nxIIqG4SuGxkT2wxzf47BtE0ZGdBxxnjDmtFTbVeoJtCQ1k8MWQ04GrgUrdj9qM\n"
    "4nG2+ZP1Ysy5DSN9dCn46/A1ikKi+P6qWb7FmsaM0zlpmVM0PzSADnRp1ShdT0w5\n"
    "sa7NMT6CpXq2i+Mdy/iHXGffV9bgTJyxIpxBsVvB4u2v7rxB8nKCV9J+5G1qwFmh\n"
    "S2i0hyfygEzeK2VX8iJGc4ZD5WSUOP7hG3TNxVj3hJZAGf8RlMtutQDGYOuQLlaZ\n"
    "bS1l5hufeUscd9uP66W/MB6u+WbTBR6r6iTMAWa0ZHuroCm2uqKQ7aF2EAg3onjS\n"
    "d/xSP8mbEhPMuP1tVUnXB9ZiLEnnMNonR9nZTZ/V/EwwL+kZYg+2iWT4Hn/U/O8t\n"
    "6bVuCzGHESd6XSbei9rlv7ZBbeecaFueH0IRZ/tb4K5URRXV6KPgJgI6Bs3WGcc+\n"
    "NhGFWyRTlYjuRxeEYmLygWXNtZwI0VUUZydkSKyktK37J0iqhBK/yRDrzB+PdWp4\n"
    "baUK18ldcw9dfm7A6THs4GWKZTz50W/dVLcjO1LMut/Mgm9lL3RGNQW+B73rQGcG\n"
    "ycfstWsan7HpaJFlniYuf85wXYRRhc948Q2Plb0Vr7CNLyFwwSpXA+KPFk7JfV88\n"
    "Qkrud/N6Waj+2J6wnsuDKEblSpiItvjZVwyDesMFOnb+uZSMg7Zmfptonjl3ZlVu\n"
    "YNz0q8y/QvN95i6XoRG69/+iUxKi4+8ntBP4A2XD2YQGaYpqur1uc6S1DTcnvWsZ\n"
    "X7hEdTNBUaGKuuEVqtExMNVFTx7L0ped4kYcMSTPvTG/r9YVGMy9Qe2xjrzHhrA+\n"
    "kOKpW7uSpR4G07qWr0HBAZ9G4odxLrE99QjeErFbs5j4LV9749jSvsRAtL474zOq\n"
    "0hHymQabwJh6WvuBGhUztW0bmi4EBOT4FsdEMp0w0p55P0GOgQrrA3VP1BoP4IFo\n"
    "MZahyhfbX/I1WKMVvt5sQrylCp6F4qPHDDAmuUaw3IxD3WbhQ+UQGXx0Qkj0fRmu\n"
    "qf29iHy3rc/kJt/F/b8lqOQe6GnSZxHc4mVzrll4H+GxmsBTq7IkOu0eM013hU4e\n"
    "Kvo0cqcErb9yV8jWu2MxZePfvQKFQE0ak5T9f0fN/Y1n4zD5znYBwHKCBTXQJkPs\n"
    "hcas6TaxAuoirRP2Dl7vU+wwNGSTy8qvMv4zIgQjjJMGB+xW9r+76OmE1VLFdzYY\n"
    "UMjA1//69rX2RyD0/kyaHmGednvj6erIx0SDmps1wKoWo0/9sWO3Uj/kt8Lfc7XN\n"
    "oXY+m0G56o2+ssxUmn4/Am9pE0Thc89gR3hfXBe8vP059uBz7PAZ0ydfjehhQ9Pr\n"
    "gQcp9wgTnWGjvwSfpZJovlto6H25hKhlBpHCiFNxZCLQtADCfihRaYD67BsY9Bho\n"
    "zu/6iJeKeCoMUk3bpOyseeR8ZK3LlboVFbWJ17O0u5UN+sTFj/0Pesu97j5E5X9a\n"
    "mXdD+xUzlSXXZxazNOcdNou0g6k4xgGZXVx5arQHsU8x\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

/// A key of another kind.
inline constexpr const char* elliptic_key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHRVmbendDO5RWo8b\n"
    "lE0cYzXeWMKpXWnyNOdTOKDk4duhRANCAASJScEiwcxx81r5bdvhr1spf6ipjofX\n"
    "+SHI4iHLv1TF57kobYa06WQwnhKg6M04MUKx8pdqq8mjkdiELn86/gzl\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace test_support
