{
  # The CPU-only addon, built with node-gyp (`npm run build:gyp`) from the same source list and with the same
  # flags as CMakeLists.txt.
  'targets': [{
    'target_name': 'spherenet',
    'sources': ['<!@(node scripts/sources.mjs)'],
    'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
    'defines': ['NDEBUG', 'NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
                'SPHERENET_VERSION="<!(node -p "require(\'./package.json\').version")"'],
    'cflags!': ['-fno-exceptions', '-fno-omit-frame-pointer'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['-std=c++20', '-O3', '-Wall', '-Wextra', '-ffp-contract=fast', '-fno-math-errno',
                  '-fno-trapping-math', '-fvisibility=hidden', '-fvisibility-inlines-hidden'],
    'conditions': [
      ['OS=="linux"', {
        # nodelete: the pool's threads outlive the JavaScript environment that loaded the addon.
        'cflags_cc': ['-ffunction-sections', '-fdata-sections'],
        'ldflags': ['-static-libstdc++', '-Wl,--exclude-libs,ALL', '-Wl,--gc-sections', '-Wl,-z,nodelete'],
        'libraries': ['-pthread'],
      }],
      ['OS=="mac"', {
        'xcode_settings': {
          'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
          'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
          'GCC_ENABLE_CPP_RTTI': 'YES',
          'GCC_OPTIMIZATION_LEVEL': '3',
          'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
          'MACOSX_DEPLOYMENT_TARGET': '12.0',
          'OTHER_CPLUSPLUSFLAGS': ['-Wall', '-Wextra', '-ffp-contract=fast', '-fno-math-errno', '-fno-trapping-math'],
        },
      }],
    ],
  }],
}
